/**
 * The engine behind its thread: what crosses the border must be what it would be without one. That
 * the operations themselves are right, the conformance suite shows on the engine inside.
 */
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine, News } from '../../src/queue/engine.ts'
import * as errors from '../../src/queue/errors.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'
import * as fromSources from '../../src/sqlite/thread.ts'
import type { EngineFixture } from '../conformance/fixture.ts'
import { openWorld } from '../conformance/world.ts'
import { importBuilt } from '../support/built.ts'
import { caught } from '../support/errors.ts'
import { aNewRun, aNewToken } from '../support/factories.ts'
import { makeTempDir, tempDir } from '../support/temp-dir.ts'

// What was built starts at once: from the sources each thread translates them anew.
const { openSqliteThread }: typeof fromSources = await importBuilt('sqlite/thread')
const built: typeof errors = await importBuilt('queue/errors')

const openThread = (path: string): Promise<Engine> =>
  openSqliteThread({ url: `file:${path}`, durability: 'normal' })

async function openFixture(): Promise<EngineFixture> {
  const folder = makeTempDir()
  const path = join(folder.path, 'queue.db')
  return {
    open: () => openThread(path),
    opener: { url: `file:${path}` },
    cleanup: async () => folder.remove(),
  }
}

async function refusal(operation: Promise<unknown>, code: errors.QueueErrorCode) {
  const error = await caught(operation)
  expect(error).toBeInstanceOf(built.QueueError)
  expect(error).toMatchObject({ code })
  return error
}

describe('SQLite in a thread', () => {
  it('returns what it is given back, of whatever form', async () => {
    const { add, runNow } = await openWorld(openFixture)
    const text = '\u0000 \u{1f600} \u2028 \ud800 "\\'
    const parameters = { prompt: text, nested: [{ a: null }, -0.5, true], ['__proto__']: 'own' }
    const run = await add({ parameters })
    expect(JSON.stringify((await runNow(run)).parameters)).toBe(JSON.stringify(parameters))
  })

  it('refuses with the same code, words and facts', async () => {
    const { runs, clock } = await openWorld(openFixture)
    await refusal(runs.stop('run_unknown', clock.now()), 'run_not_found')
    const unknown = aNewRun({ type: 'resume_session', session_id: 'ses_unknown' })
    const error = await refusal(
      runs.addMany([aNewRun(), unknown], clock.now()),
      'session_not_found',
    )
    expect(error).toMatchObject({
      message: "run 1: Session 'ses_unknown' not found",
      facts: { index: 1 },
    })
  })

  it('reads feeds on from the places that they give', async () => {
    const { add, runFeed, sessionFeed, clock } = await openWorld(openFixture)
    await sessionFeed.keep(clock.now())
    const [runsFrom, sessionsFrom] = [await runFeed.end(), await sessionFeed.end()]
    const { run_id, session_id } = await add()
    const { items } = await runFeed.read(runsFrom)
    expect(items).toMatchObject([{ place: '1', item: { run_id, session_id, cause: 'added' } }])
    expect(await runFeed.read('1', '1')).toEqual({ items: [], next: '1', more: false })
    expect(await sessionFeed.read(sessionsFrom)).toMatchObject({
      items: [{ item: { kind: 'session_created', data: { session: { session_id } } } }],
    })
    await refusal(runFeed.read('2'), 'unknown_event_id')
  })

  it('fails with the words and the place of an error that nobody thought of', async () => {
    const { runs } = await openWorld(openFixture)
    const error = await caught(runs.list({ limit: 'many' as never }))
    expect(error).toMatchObject({ message: expect.stringContaining('datatype mismatch') })
    expect((error as Error).stack).toContain('list.js')
  })

  it('does what was called at once in one commit, and answers each', async () => {
    const { runs, clock, changes } = await openWorld(openFixture)
    const heard: News[] = []
    const stop = changes.subscribe((news) => void heard.push(news))
    const adding = Array.from({ length: 100 }, () => runs.add(aNewRun(), clock.now()))
    const ids = (await Promise.all(adding)).map(({ run }) => run.run_id)
    expect(new Set(ids).size).toBe(100)
    await expect.poll(() => heard.flatMap((news) => news.runs).length).toBe(100)
    stop()
    expect(heard.flatMap((news) => news.runs.map(({ run_id }) => run_id))).toEqual(ids)
  })

  it('looks at tokens after all came that share the look: what was revoked before never passes', async () => {
    const path = join(tempDir(), 'queue.db')
    const engine = await openThread(path)
    onTestFinished(() => engine.close())
    const other = new (await loadDriver())(path)
    onTestFinished(() => void other.close())
    await engine.tokens.create({ ...aNewToken(), token_hash: 'h' }, '2026-01-01T00:00:00.000Z')
    const revoke = () => other.prepare('UPDATE tokens SET revoked_at = ?').run('2026-01-02')
    const [early, , late] = [engine.tokens.find('h'), revoke(), engine.tokens.find('h')]
    expect((await early).token?.revoked_at).toBe('2026-01-02')
    expect(await late).toEqual(await early)
    other.prepare('DELETE FROM tokens').run()
    expect(await engine.tokens.find('h')).toEqual({ any: false, token: null })
  })

  it('tells who subscribed and then looked of all that others commit, until it leaves', async () => {
    const { changes, runs, add, open } = await openWorld(openFixture)
    const other = await open()
    const heard: string[] = []
    const stop = changes.subscribe((news) => {
      heard.push(...news.runs.map(({ run_id }) => run_id))
    })
    await runs.list({ limit: 1 })
    const { run } = await other.runs.add(aNewRun(), '2026-01-31T12:00:00.000Z')
    await expect.poll(() => heard).toEqual([run.run_id])
    stop()
    await add()
    await runs.list({ limit: 1 })
    expect(heard).toEqual([run.run_id])
  })

  it('lets no write wait for what people look at', async () => {
    const { runs, add, clock } = await openWorld(openFixture)
    await runs.addMany(
      Array.from({ length: 200 }, () => aNewRun()),
      clock.now(),
    )
    let looked = 0
    // Their thread is started for the first of them, which takes longer than many writes.
    const looking = Array.from({ length: 50 }, async () => {
      await runs.list({ limit: 200 })
      looked += 1
    })
    await add()
    expect(looked).toBeLessThan(50)
    await Promise.all(looking)
  })

  it('shows what was acknowledged before it was asked', async () => {
    const { runs, add, insight, clock } = await openWorld(openFixture)
    const terms = { stale_seconds: 120, remove_seconds: 600, claim_timeout_seconds: 60 }
    for (let added = 0; added < 20; added++) {
      const { run_id } = await add()
      const explained = insight.explainRun(run_id, terms, clock.now())
      expect((await runs.list({ limit: 1 })).runs[0]?.run_id).toBe(run_id)
      expect(await explained).toMatchObject({ run_id, ahead: { count: added } })
    }
  })

  it('finishes what is at hand before it closes', async () => {
    const path = join(tempDir(), 'queue.db')
    const engine = await openThread(path)
    const adding = engine.runs.add(aNewRun(), '2026-01-31T12:00:00.000Z')
    const looking = engine.overview.standing()
    await engine.close()
    const { run } = await adding
    expect((await looking).running.count).toBe(0)
    const next = await openThread(path)
    onTestFinished(() => next.close())
    expect(await next.runs.get(run.run_id)).toEqual(run)
  })

  it.each([
    ['as it was built', openSqliteThread, built.DatabaseOpenError],
    ['from the sources', fromSources.openSqliteThread, errors.DatabaseOpenError],
  ])(
    '%s, where it cannot open its file it says why, and leaves no thread behind',
    async (_, open, expected) => {
      const error = await caught(open({ url: tempDir() }))
      expect(error).toBeInstanceOf(expected)
      expect((error as Error).message).toContain('DATABASE_URL')
    },
  )
})
