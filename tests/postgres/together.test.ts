/** What comes at one moment goes in one statement; each call has its own outcome all the same. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Connection, Database, targetOf } from '../../src/postgres/database.ts'
import { Together } from '../../src/postgres/together.ts'
import { ADD_LIMIT } from '../../src/queue/run-queue.ts'
import { openWorld } from '../conformance/world.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import { openFixture, openShell } from './fixture.ts'

const COUNT = 12

async function openCounted() {
  const world = await openWorld(openFixture)
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  const query = vi.spyOn(Connection.prototype, 'query')
  onTestFinished(() => query.mockRestore())
  return { world, shell, query }
}

describe('at one moment', () => {
  it('claims and reports share statements', async () => {
    const { world, query } = await openCounted()
    const runners = []
    for (let i = 0; i < COUNT; i++) {
      runners.push(await world.register({ hostname: `host-${i}` }))
      await world.add()
    }
    query.mockClear()
    const claims = await Promise.all(runners.map((runner) => world.claim(runner)))
    expect(new Set(claims.flat().map(({ run_id }) => run_id)).size).toBe(COUNT)
    expect(query).toHaveBeenCalledTimes(1)
    query.mockClear()
    await Promise.all(
      claims.flat().map(({ run_id, runner_id, claim_token }) => {
        const report = { run_id, runner_id: runner_id ?? '', claim_token }
        const outcome = {
          session_status: 'finished' as const,
          result: { text: run_id, data: null },
        }
        return world.runs.complete({ ...report, ...outcome }, world.clock.now())
      }),
    )
    expect(query).toHaveBeenCalledTimes(1)
    for (const { run_id } of claims.flat()) {
      expect(await world.runs.get(run_id)).toMatchObject({
        ...{ status: 'completed', result: { text: run_id, data: null } },
      })
    }
  })

  it('runs that are added share a statement, and each has its own outcome', async () => {
    const { world, query } = await openCounted()
    const first = await world.add({ idempotency: { key: 'k', fingerprint: 'f' } })
    const now = world.clock.now()
    const nobodys = { demands: { tags: ['none has it'] }, reject_if_unmatchable: true }
    query.mockClear()
    const adding = Array.from({ length: COUNT }, () => world.runs.add(aNewRun(), now))
    await Promise.all(adding)
    expect(query).toHaveBeenCalledTimes(1)
    const [, repeated] = await Promise.all([
      world.runs.add(aNewRun(), now),
      world.runs.add(aNewRun({ idempotency: { key: 'k', fingerprint: 'f' } }), now),
      refusal(world.runs.add(aNewRun({ session_id: first.session_id }), now), 'session_exists'),
      refusal(world.runs.add(aNewRun({ run_id: first.run_id }), now), 'run_exists'),
      refusal(world.runs.add(aNewRun(nobodys), now), 'unmatchable'),
      world.runs.add(aNewRun({ parent_session_id: first.session_id }), now),
    ])
    expect(repeated).toMatchObject({ created: false, run: { run_id: first.run_id } })
    expect((await world.runs.list({ limit: 100 })).runs).toHaveLength(COUNT + 3)
  })

  it('those with one session or one key are told apart', async () => {
    const { world } = await openCounted()
    const now = world.clock.now()
    const session_id = aNewRun().session_id
    const same = () => world.runs.add(aNewRun({ session_id }), now)
    const sessions = await Promise.allSettled([same(), same(), same()])
    expect(sessions.map(({ status }) => status).sort()).toEqual([
      ...['fulfilled', 'rejected', 'rejected'],
    ])
    const idempotency = { key: 'k', fingerprint: 'f' }
    const again = () => world.runs.add(aNewRun({ idempotency }), now)
    const keyed = await Promise.all([again(), again(), again()])
    expect(new Set(keyed.map(({ run }) => run.run_id)).size).toBe(1)
    expect(keyed.filter(({ created }) => created)).toHaveLength(1)
  })

  it('so are those with keys or sessions that are stored alike', async () => {
    const { world } = await openCounted()
    const now = world.clock.now()
    const keyed = (key: string) =>
      world.runs.add(aNewRun({ idempotency: { key, fingerprint: 'f' } }), now)
    const [one, two] = await Promise.all([keyed('k\ud800'), keyed('k\ufffd'), keyed('other')])
    expect(two).toMatchObject({ created: false, run: { run_id: one?.run.run_id } })
    const started = (session_id: string) => world.runs.add(aNewRun({ session_id }), now)
    await Promise.all([
      started('ses\0'),
      refusal(started('ses\ufffd'), 'session_exists'),
      started('other'),
    ])
  })

  it('long ones go apart', async () => {
    const { world, query } = await openCounted()
    const now = world.clock.now()
    const prompt = 'x'.repeat(3 * 1024 * 1024)
    const long = () => aNewRun({ parameters: { prompt } })
    query.mockClear()
    await Promise.all([long(), long(), long()].map((run) => world.runs.add(run, now)))
    await world.runs.addMany([long(), long(), aNewRun()], now)
    const lengths = query.mock.calls.flatMap(([{ values = [] }]) =>
      values.map((value) => String(value).length),
    )
    expect(Math.max(...lengths)).toBeLessThan(1.5 * prompt.length)
    const batches: string[][] = []
    const together = new Together(
      async (batch: string[]) => {
        batches.push(batch)
        return batch
      },
      (text) => text.length,
    )
    const texts = [...['a', 'b'], 'c'.repeat(5 * 1024 * 1024), 'd', prompt, prompt, 'e']
    expect(await Promise.all(texts.map((text) => together.ask(text)))).toEqual(texts)
    expect(batches.map((batch) => batch.map(([first]) => first).join(''))).toEqual([
      ...['ab', 'c', 'dx', 'xe'],
    ])
  })

  it('a batch is a statement for each hundred, as far as no run in it builds on another', async () => {
    const { world, query } = await openCounted()
    const batch = Array.from({ length: ADD_LIMIT }, (_, i) =>
      aNewRun({ demands: i % 2 ? { tags: ['gpu'] } : null }),
    )
    query.mockClear()
    await world.runs.addMany(batch, world.clock.now())
    expect(query).toHaveBeenCalledTimes(ADD_LIMIT / 100)
    const [first, ...others] = batch.map(({ run_id }) => aNewRun({ run_id: `${run_id}_` }))
    query.mockClear()
    const child = aNewRun({ parent_session_id: first?.session_id ?? '' })
    await world.runs.addMany([first ?? child, child, ...others], world.clock.now())
    expect(query.mock.calls.length).toBeLessThan(ADD_LIMIT / 100 + 10)
  })

  it('reports on one run are told apart: who lost it hears so', async () => {
    const { world } = await openCounted()
    const { run, report } = await world.bring('claimed')
    const other = await world.register({ hostname: 'other' })
    const now = world.clock.now()
    const outdated = { ...report, claim_token: 'outdated' }
    await Promise.all([
      refusal(world.runs.start(outdated, now), 'claim_token_mismatch'),
      world.runs.start(report, now),
      refusal(world.runs.start({ ...report, runner_id: other.runner_id }, now), 'run_not_held'),
    ])
    const completion = { session_status: 'finished' as const, result: null }
    await Promise.all([
      world.runs.complete({ ...report, ...completion }, now),
      refusal(world.runs.complete({ ...outdated, ...completion }, now), 'claim_token_mismatch'),
      // A repetition is no news.
      world.runs.complete({ ...report, ...completion }, now),
    ])
    expect(await world.runNow(run)).toMatchObject({ status: 'completed' })
  })

  it('a report that is refused, or waits for a lock, is no matter of the others', async () => {
    const { world, shell } = await openCounted()
    const [first, locked] = [await world.bring('claimed'), await world.bring('claimed')]
    const others = [await world.bring('claimed'), await world.bring('claimed')]
    await shell.query('BEGIN')
    await shell.query('SELECT 1 FROM runs WHERE run_id = $1 FOR UPDATE', [locked.run.run_id])
    const now = world.clock.now()
    const refused = refusal(
      world.runs.start({ ...first.report, claim_token: 'outdated' }, now),
      'claim_token_mismatch',
    )
    let isDone = false
    const waiting = world.runs.start(locked.report, now).then(() => {
      isDone = true
    })
    await Promise.all([refused, ...others.map(({ report }) => world.runs.start(report, now))])
    expect(isDone).toBe(false)
    await shell.query('ROLLBACK')
    await waiting
    expect(await world.runNow(locked.run)).toMatchObject({ status: 'running' })
  })

  it('what fails for the sake of one is done again for each alone', async () => {
    const batches: number[][] = []
    const together = new Together(async (batch: number[]) => {
      batches.push(batch)
      if (batch.includes(13)) throw new Error('no thirteens')
      return batch.map((n) => n * 2)
    })
    const asked = await Promise.allSettled([1, 13, 3].map((n) => together.ask(n)))
    expect(asked.map((one) => (one.status === 'fulfilled' ? one.value : 'failed'))).toEqual([
      ...[2, 'failed', 6],
    ])
    expect(batches).toEqual([[1, 13, 3], [1], [13], [3]])
  })
})

it('a connection that is cut between two statements is told to the operation, and ends nothing', async () => {
  const { world, shell } = await openCounted()
  const database = new Database(targetOf(world.fixture.opener.url, 'normal'))
  onTestFinished(() => database.close())
  const cut = database.transaction(async (on) => {
    const { rows } = await on.query({ text: 'SELECT pg_backend_pid() AS pid' })
    await shell.query('SELECT pg_terminate_backend($1, 5000)', [rows[0].pid])
    // Long enough for the end of the connection to be seen.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await on.query({ text: 'SELECT 1' })
  })
  await expect(cut).rejects.toMatchObject({ code: 'database_unavailable' })
})
