/** A queue is copied from one kind of database to the other, and back. */
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { copyQueue } from '../../src/copy.ts'
import { openTables } from '../../src/engine.ts'
import type { Engine } from '../../src/queue/engine.ts'
import { COPIED_TABLES, type Row, type Tables } from '../../src/queue/tables.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture as openSqliteFixture } from '../sqlite/fixture.ts'
import { caught } from '../support/errors.ts'
import { aNewRun, aNewToken } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { openEngine, openFixture } from './fixture.ts'

const signal = new AbortController().signal
const newFile = () => `file:${join(tempDir(), 'copy.db')}`

async function newPostgres(): Promise<string> {
  const fixture = await openFixture()
  onTestFinished(() => fixture.cleanup())
  return fixture.opener.url
}

/** At least one row for each kind of thing that there is. */
async function fill(world: World): Promise<void> {
  const { bring, add, runs, sessions, tokens, clock } = world
  for (const status of ['claimed', 'running', 'stopping', 'failed', 'stopped'] as const) {
    await bring(status, { max_attempts: 2, retry_delay_seconds: 0.5 })
  }
  const { report, run } = await bring('running', { scope: { b: 1, a: [null, 'x'] } })
  const result = { text: 'done \u{1f600}', data: { ok: true } }
  await runs.complete({ ...report, session_status: 'finished', result }, clock.now())
  const event = { session_id: run.session_id, event_type: 'message', timestamp: clock.now() }
  await sessions.addEvent({ ...event, role: 'assistant', content: [{ type: 'text', text: 'hi' }] })
  await tokens.create(aNewToken(), clock.now())
  const many = Array.from({ length: 700 }, () => aNewRun({ priority: 1 }))
  await runs.addMany(many, clock.now())
  await add({ demands: { hostname: 'alpha', tags: ['b', 'a'] }, priority: 9 })
  await add({ available_at: clock.ahead(60), idempotency: { key: 'k', fingerprint: 'f' } })
}

async function tables(url: string, existing = true): Promise<Tables> {
  const opened = await openTables(url, existing)
  onTestFinished(() => opened.close())
  return opened
}

async function everything(of: Tables): Promise<Record<string, Row[]>> {
  const all: Record<string, Row[]> = {}
  for (const table of COPIED_TABLES) all[table] = await of.read(table, null, 10_000)
  return all
}

/** The queue goes on there: what is claimed next, and that new rows find a place. */
async function goesOn(engine: Engine, world: World): Promise<void> {
  const { clock } = world
  onTestFinished(() => engine.close())
  const { totals } = await world.metrics.read('')
  expect(totals?.runs).toMatchObject({ claimed: 1, completed: 1 })
  expect((await engine.metrics.read('')).totals).toEqual(totals)
  await engine.metrics.fold()
  expect((await engine.metrics.read('')).totals).toEqual(totals)
  const runner = (await engine.runners.list(1))[0]
  if (!runner) throw new Error('no runner came along')
  const claim = { runner_id: runner.runner_id, limit: 2, claim_key: null, tokens: ['t1', 't2'] }
  const expected = (await world.runs.pending(3)).filter(({ demands }) => demands === null)
  expect(await engine.runs.claim(claim, clock.now())).toMatchObject(
    expected.slice(0, 2).map(({ run_id }) => ({ run_id })),
  )
  const { run } = await engine.runs.add(aNewRun(), clock.now())
  expect(await engine.runs.get(run.run_id)).toEqual(run)
}

it('from SQLite to PostgreSQL, with all that there is', async () => {
  const world = await openWorld(openSqliteFixture)
  await fill(world)
  const from = await tables(world.fixture.opener.url)
  const url = await newPostgres()
  const to = await tables(url)
  const copied = await copyQueue(from, to, { signal })
  expect(copied.runs).toBe(708)
  expect(await everything(to)).toEqual(await everything(from))
  await goesOn(await openEngine(url), world)
})

it('from PostgreSQL to SQLite, with all that there is', async () => {
  const world = await openWorld(openFixture)
  await fill(world)
  const from = await tables(world.fixture.opener.url)
  const url = newFile()
  const to = await openTables(url, false)
  await copyQueue(from, to, { signal })
  expect(await everything(to)).toEqual(await everything(from))
  await to.close()
  await goesOn(await openSqliteEngine({ url }), world)
})

it('goes on where it was interrupted', async () => {
  const world = await openWorld(openSqliteFixture)
  await fill(world)
  const from = await tables(world.fixture.opener.url)
  const to = await tables(await newPostgres())
  const interrupt = new AbortController()
  await copyQueue(from, to, {
    signal: interrupt.signal,
    onProgress: (table, done) => {
      if (table === 'runs' && done > 0) interrupt.abort()
    },
  })
  expect(await to.count('runs', null)).toBe(500)
  const progress: number[] = []
  const onProgress = (table: string, done: number) => void (table === 'runs' && progress.push(done))
  await copyQueue(from, to, { signal, onProgress })
  expect(progress[0]).toBe(500)
  expect(await everything(to)).toEqual(await everything(from))
})

it('refuses a database that holds something else, and leaves it as it is', async () => {
  const world = await openWorld(openSqliteFixture)
  await world.add()
  const other = await openWorld(openFixture)
  const { run_id } = await other.add()
  const from = await tables(world.fixture.opener.url)
  const to = await tables(other.fixture.opener.url)
  expect(String(await caught(copyQueue(from, to, { signal })))).toMatch(/Name an empty one/)
  expect(await other.runs.pending(10)).toMatchObject([{ run_id }])
})

it('names no source that is not there', async () => {
  expect(String(await caught(openTables(newFile(), true)))).toMatch(/there is no database/)
})
