/** A PostgreSQL database as its tables. */
import { asc, count, desc, getTableColumns, gt, lte, sql } from '../drizzle.ts'
import type { CopiedTable, Key, Row, Tables } from '../queue/tables.ts'
import { targetOf } from './database.ts'
import type { PgColumn, PgTable } from './drizzle.ts'
import { drizzle } from './drizzle.ts'
import { openClient } from './open.ts'
import { callbacks, runEvents, runners, runs, sessionEvents, sessions, tokens } from './schema.ts'
import { json } from './statements.ts'

const TABLES: Record<CopiedTable, { table: PgTable; key: PgColumn }> = {
  sessions: { table: sessions, key: sessions.seq },
  runs: { table: runs, key: runs.seq },
  run_events: { table: runEvents, key: runEvents.event_id },
  session_events: { table: sessionEvents, key: sessionEvents.id },
  runners: { table: runners, key: runners.runner_id },
  tokens: { table: tokens, key: tokens.token_id },
  callbacks: { table: callbacks, key: callbacks.callback_id },
}
/** Those whose keys come from a sequence. */
const NUMBERED = {
  sessions: 'seq',
  runs: 'seq',
  run_events: 'event_id',
  session_events: 'id',
  callbacks: 'callback_id',
}

/** What the database makes itself is left to it: a trigger keeps demand_key, and xid tells what is news there. */
function stored(table: PgTable) {
  const { demand_key: _, xid: __, ...columns } = getTableColumns(table) as Record<string, PgColumn>
  return columns
}

export async function openPostgresTables(url: string): Promise<Tables> {
  const client = await openClient(url, targetOf(url, 'full'))
  const orm = drizzle({ client })
  return {
    async read(name, after, limit) {
      const { table, key } = TABLES[name]
      const rows = orm.select(stored(table)).from(table)
      const rest = after === null ? rows : rows.where(gt(key, after))
      return (await rest.orderBy(asc(key)).limit(limit)) as Row[]
    },

    keyOf: (name, row) => row[TABLES[name].key.name] as Key,

    async write(name, rows) {
      const { table } = TABLES[name]
      // NUL and halves of surrogate pairs, which PostgreSQL does not take.
      const storable = JSON.parse(json(rows) ?? '[]') as never
      await orm.transaction(async (tx) => {
        const newest = sql`SELECT coalesce(max(event_id), 0) AS newest FROM run_events`
        const [before] = (await tx.execute<{ newest: number }>(newest)).rows
        await tx.insert(table).overridingSystemValue().values(storable)
        // Its own history is copied: what is told of the copy itself is none.
        if (name !== 'run_events')
          await tx.execute(sql`DELETE FROM run_events WHERE event_id > ${before?.newest ?? 0}`)
      })
    },

    async last(name) {
      const { table, key } = TABLES[name]
      const [row] = await orm.select(stored(table)).from(table).orderBy(desc(key)).limit(1)
      return (row as Row | undefined) ?? null
    },

    async count(name, upTo) {
      const { table, key } = TABLES[name]
      const rows = orm.select({ count: count() }).from(table)
      const [found] = await (upTo === null ? rows : rows.where(lte(key, upTo)))
      return found?.count ?? 0
    },

    async finish() {
      for (const [table, key] of Object.entries(NUMBERED)) {
        await client.query(
          `SELECT setval(pg_get_serial_sequence('${table}', '${key}'), coalesce(max(${key}), 1), max(${key}) IS NOT NULL) FROM ${table}`,
        )
      }
      // Metrics are counted anew, from the history that was copied.
      await client.query(`
        BEGIN;
        UPDATE metrics_position SET
          snapshot = '1:1:', event_id = 0, newest_event_id = 0, floor_event_id = 0;
        DELETE FROM counters WHERE name LIKE 'metrics\\_%';
        INSERT INTO counters (name, shard, value)
        SELECT 'metrics_runs_' || status, 0, sum(runs) FROM (
          SELECT status, count(*) AS runs FROM runs GROUP BY status
          UNION ALL SELECT to_status, -count(*) FROM run_events GROUP BY to_status
          UNION ALL SELECT from_status, count(*) FROM run_events
            WHERE from_status IS NOT NULL GROUP BY from_status) AS known
        GROUP BY status;
        COMMIT`)
      await client.query('ANALYZE')
    },

    close: () => client.end(),
  }
}
