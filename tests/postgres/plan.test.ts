/** No statement walks a table: what a call costs does not grow with what is stored. */
import pg from 'pg'
import { expect, it, vi } from 'vitest'
import { Connection, clientConfig } from '../../src/postgres/database.ts'
import { openWorld } from '../conformance/world.ts'
import { everyOperation } from '../support/operations.ts'
import { openFixture, openShell } from './fixture.ts'

/** Tables that grow with the queue; runners, tokens and counters are few. */
const GROWING = ['runs', 'sessions', 'run_events', 'runner_signals', 'session_events']

it('no operation scans a table that grows', async () => {
  const fixture = await openFixture()
  const shell = await openShell(fixture.opener.url)
  const planner = new pg.Client(clientConfig(fixture.opener.url, 'full'))
  await planner.connect()
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
