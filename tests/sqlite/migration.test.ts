/** A database as the first version made it, opened by today's code: all of it is there. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import { RUN_STATUSES } from '../../src/queue/run.ts'
import { type Client, loadDriver } from '../../src/sqlite/driver.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun, someTokens } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { openEngine } from './fixture.ts'

/** The tables and triggers of then: 0000 and 0001. */
const FIRST_MIGRATIONS = 2
const FOLDER = fileURLToPath(new URL('../../drizzle/sqlite', import.meta.url))

const AT = '2026-01-31T12:00:00.000Z'
const LATER = '2026-01-31T13:00:00.000Z'
const EVENTS = ['run_start', 'message', 'result']

/** Two runs in every status, each with a session, events of three kinds and a runner if it is held. */
function fill(client: Client): void {
  const session = client.prepare(`INSERT INTO sessions
    (seq, session_id, status, created_at, agent_name, hostname, executor_session_id, updated_at)
    VALUES ($seq, $session_id, $status, $at, 'writer', 'alpha', 'x', $at)`)
  const run =
    client.prepare(`INSERT INTO runs (run_id, session_id, type, agent_name, parameters, scope,
    demands, priority, status, runner_id, error, result, attempt, max_attempts, claim_token, claim_key,
    idempotency_key, idempotency_fingerprint, created_at, claimed_at, timeout_at, timeout_seconds, updated_at)
    VALUES ($run_id, $session_id, 'start_session', 'writer', '{"prompt":"hé"}', '{"tenant":"x"}',
    NULL, 3, $status, $runner_id, 'once', '{"text":"t","data":[1]}', 1, 3,
    'token', $claim_key, $key, 'f', $at, $at, $at, 60, $at)`)
  const event = client.prepare(`INSERT INTO session_events
    (session_id, run_id, event_type, timestamp, payload)
    VALUES ($session_id, $run_id, $event_type, $at, json_object('content', $run_id))`)
  client.exec(`INSERT INTO runners (runner_id, hostname, project_dir, executor_profile, tags,
    require_matching_tags, registered_at, last_heartbeat)
    VALUES ('lnch_1', 'alpha', '/p', 'coding', '["a"]', 0, '${AT}', '${AT}'),
      ('lnch_2', 'beta', '/p', NULL, '[]', 1, '${AT}', '${AT}')`)
  client.exec(`UPDATE runners SET deregistered_at = '${AT}' WHERE runner_id = 'lnch_2'`)
  const rows = RUN_STATUSES.flatMap((status) => [1, 2].map((n) => ({ status, id: status + n })))
  for (const [i, { status, id }] of rows.entries()) {
    const ids = { session_id: `ses_${id}`, run_id: `run_${id}` }
    // Neither in the order of the runs nor without gaps, as after deletions.
    const word = status === 'claimed' ? 'pending' : status === 'completed' ? 'finished' : status
    session.run({ seq: 1000 - 7 * i, session_id: ids.session_id, status: word, at: AT })
    const held = status === 'pending' ? null : 'lnch_1'
    run.run({ ...ids, status, runner_id: held, claim_key: held && `key-${id}`, key: id, at: AT })
  }
  // Not with the rest: the trigger of then refuses them on newer SQLite.
  client.exec(`UPDATE runs SET demands = '{"tags":["a"],"hostname":"alpha"}'`)
  // Those of the sessions in turn, so that none of them has its events side by side.
  for (const event_type of EVENTS) {
    for (const { id } of rows) {
      event.run({ session_id: `ses_${id}`, run_id: `run_${id}`, event_type, at: AT })
    }
  }
}

async function oldDatabase(): Promise<{ path: string; client: Client }> {
  const path = join(tempDir(), 'queue.db')
  const Driver = await loadDriver()
  const client = new Driver(path)
  onTestFinished(() => void client.close())
  client.pragma('foreign_keys = ON')
  client.exec(
    'CREATE TABLE __drizzle_migrations (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, created_at NUMERIC)',
  )
  const applied = client.prepare(
    'INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)',
  )
  const migrations = readMigrationFiles({ migrationsFolder: FOLDER }).slice(0, FIRST_MIGRATIONS)
  for (const { sql, hash, folderMillis } of migrations) {
    for (const statement of sql) client.exec(statement)
    applied.run(hash, folderMillis)
  }
  fill(client)
  return { path, client }
}

async function migrated(path: string): Promise<Engine> {
  const engine = await openEngine(path)
  onTestFinished(() => engine.close())
  return engine
}

const TABLES = ['runs', 'sessions', 'runners', 'run_events', 'runner_signals']
const contents = (client: Client) =>
  TABLES.map((table) => client.prepare(`SELECT * FROM ${table} ORDER BY 1`).all())

describe('a database of the first version', () => {
  it('keeps every row of every table', async () => {
    const { path, client } = await oldDatabase()
    const before = contents(client)
    for (const rows of before) expect(rows).not.toEqual([])
    await migrated(path)
    const added = {
      on_lost: 'fail',
      retry_delay_seconds: null,
      available_at: null,
      cause: null,
      changed_by: null,
      traceparent: null,
    }
    const history = { cause: null, changed_by: null, attempt: 0, detail: null }
    const [runs = [], sessions, runners = [], events = [], ...others] = before
    expect(contents(client)).toEqual([
      runs.map((run) => ({ ...(run as object), ...added })),
      sessions,
      runners.map((runner) => ({ ...(runner as object), token_id: null })),
      events.map((event) => ({ ...(event as object), ...history })),
      ...others,
    ])
    expect(client.pragma('foreign_key_check')).toEqual([])
    expect(client.pragma('integrity_check', { simple: true })).toBe('ok')
  })

  it('shows each session its own events, in their order', async () => {
    const { path } = await oldDatabase()
    const { sessions } = await migrated(path)
    for (const status of RUN_STATUSES) {
      const events = await sessions.events(`ses_${status}2`)
      const run_id = `run_${status}2`
      expect(events).toMatchObject(
        EVENTS.map((event_type) => ({ event_type, content: run_id, timestamp: AT })),
      )
    }
    expect(await sessions.delete('ses_completed2')).toEqual({ events_count: 3, runs_count: 1 })
    expect(await sessions.events('ses_completed1')).toHaveLength(3)
  })

  it('counts what is pending, and goes on counting', async () => {
    const { path } = await oldDatabase()
    const { runs } = await migrated(path)
    await refusal(runs.add(aNewRun(), LATER, { max_pending: 2 }), 'queue_full')
    await runs.add(aNewRun(), LATER, { max_pending: 3 })
    await runs.stop('run_pending1', LATER)
    await refusal(runs.add(aNewRun(), LATER, { max_pending: 2 }), 'queue_full')
    await runs.add(aNewRun(), LATER, { max_pending: 3 })
  })

  it('is worked on: claims, reports, keys, stops and lost runners', async () => {
    const { path } = await oldDatabase()
    const { runs, runners } = await migrated(path)
    const claim = { runner_id: 'lnch_1', limit: 1, claim_key: null, tokens: someTokens(1) }
    expect(await runs.claim(claim, LATER)).toMatchObject([{ run_id: 'run_pending1', attempt: 2 }])
    const again = { ...claim, claim_key: 'key-running1' }
    expect(await runs.claim(again, LATER)).toMatchObject([{ run_id: 'run_running1' }])
    const idempotency = { key: 'failed1', fingerprint: 'f' }
    const repeated = await runs.add(aNewRun({ idempotency }), LATER)
    expect(repeated).toMatchObject({ created: false, run: { run_id: 'run_failed1' } })
    const report = { runner_id: 'lnch_1', claim_token: 'token' }
    await runs.fail({ ...report, run_id: 'run_running1', error: 'twice' }, LATER)
    expect(await runs.get('run_running1')).toMatchObject({ status: 'pending', attempt: 1 })
    expect((await runs.takeStops('lnch_1', LATER, AT)).run_ids.sort()).toEqual([
      'run_stopping1',
      'run_stopping2',
    ])
    await runners.remove('lnch_1', LATER)
    // Runs of then said nothing of a loss: they fail.
    expect(await runs.get('run_running2')).toMatchObject({ status: 'failed', on_lost: 'fail' })
    expect(await runs.get('run_claimed2')).toMatchObject({ status: 'pending', attempt: 0 })
  })
})
