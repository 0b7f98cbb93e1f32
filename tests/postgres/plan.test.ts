/** No statement walks a table: what a call costs does not grow with what is stored. */
import pg from 'pg'
import { expect, it, vi } from 'vitest'
import { Connection, connect, targetOf } from '../../src/postgres/database.ts'
import { openWorld } from '../conformance/world.ts'
import { everyOperation } from '../support/operations.ts'
import { openNewFixture, openShell } from './fixture.ts'

/** Tables that grow with the queue; runners, tokens and counters are few. */
const GROWING = [
  ...['runs', 'sessions', 'run_events', 'runner_signals', 'session_events', 'session_changes'],
  'callbacks',
]

it('no operation scans a table that grows', async () => {
  const fixture = await openNewFixture()
  const shell = await openShell(fixture.opener.url)
  const target = targetOf(fixture.opener.url, 'full')
  const planner = new pg.Client(target.config)
  await connect(planner, target)
  const statements = new Map<string, string>()
  const query = vi.spyOn(Connection.prototype, 'query')
  try {
    const world = await openWorld(async () => fixture)
    // What is counted from now on: the template was filled and emptied before.
    await shell.query('SELECT pg_stat_reset()')
    await everyOperation(world, async (operation, work) => {
      query.mockClear()
      await work()
      for (const [{ text }] of query.mock.calls) statements.set(text, operation)
    })
    await world.close()

    expect(statements.size).toBeGreaterThan(60)
    for (const [text, operation] of statements) {
      if (!/^(WITH|SELECT|INSERT|UPDATE|DELETE)/i.test(text.trim())) continue
      const { rows } = await planner.query(`EXPLAIN (GENERIC_PLAN) ${text}`)
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      const scanned = GROWING.filter((table) => plan.includes(`Seq Scan on ${table}`))
      expect({ operation, scanned, plan: scanned.length ? plan : '' }).toEqual({
        ...{ operation, scanned: [], plan: '' },
      })
    }
    // Triggers and foreign keys too. What a connection did is counted for sure when it is gone.
    const { rows } = await shell.query(
      'SELECT relname, seq_scan::int FROM pg_stat_user_tables WHERE relname = ANY($1) AND seq_scan > 0',
      [GROWING],
    )
    expect(rows).toEqual([])
  } finally {
    query.mockRestore()
    await planner.end()
    await shell.end()
  }
})

const FILL = 8_000
/** A list for people, which sorts all that is pending; and batches of some thousands, or as large as all this. */
const READING_MUCH = [
  ...['pending', 'prune', 'overview.standing', 'overview.search', 'metrics.read', 'metrics.fold'],
]

it.each([
  ['empty', false],
  ['small, and known to be', true],
])(
  'plans that were made while the tables were %s are right when they are full',
  async (_, known) => {
    const fixture = await openNewFixture()
    const shell = await openShell(fixture.opener.url)
    try {
      // Autovacuum would tell the planner what it is not to know here, if it came in between.
      for (const table of GROWING) {
        await shell.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`)
      }
      const world = await openWorld(async () => fixture)
      const work = async (_: string, operation: () => Promise<unknown>) => void (await operation())
      await everyOperation(world, work)
      if (known) {
        await shell.query('VACUUM ANALYZE')
        await everyOperation(world, work)
      }
      // Of one session and one runner, and in every status; nothing tells the planner of it.
      const { run, report } = await world.bring('running', { priority: 1_000_000 })
      await shell.query(
        `INSERT INTO runs (run_id, session_id, runner_id, type, parameters, status, demands, completed_at)
       SELECT 'fill_' || i, $1, CASE WHEN i % 2 = 0 THEN $2 END, 'start_session', '{"prompt":"x"}',
         CASE WHEN i % 2 = 0 THEN 'completed' ELSE 'pending' END,
         CASE WHEN i % 2 = 1 THEN '{"hostname":"elsewhere"}'::jsonb END,
         CASE WHEN i % 2 = 0 THEN '9999' END
       FROM generate_series(1, $3) AS i`,
        [run.session_id, report.runner_id, FILL],
      )
      await shell.query('SELECT pg_stat_force_next_flush()')
      await shell.query('SELECT pg_stat_reset()')
      await everyOperation(world, async (name, operation) => {
        if (!READING_MUCH.includes(name)) await operation()
      })
      await world.close()
      const { rows } = await shell.query(
        'SELECT indexrelname, idx_tup_read::int FROM pg_stat_user_indexes WHERE idx_tup_read > $1',
        [FILL / 4],
      )
      expect(rows).toEqual([])
    } finally {
      await shell.end()
    }
  },
)
