/** A SQLite file as its tables. */
import { asc, count, desc, getTableColumns, gt, lte, sql } from '../drizzle.ts'
import type { CopiedTable, Key, Row, Tables } from '../queue/tables.ts'
import { openDatabase } from './database.ts'
import type { SQLiteColumn, SQLiteTable } from './drizzle.ts'
import { existingDatabase } from './file.ts'
import { callbacks, runEvents, runners, runs, sessionEvents, sessions, tokens } from './schema.ts'

const TABLES: Record<CopiedTable, { table: SQLiteTable; key: SQLiteColumn }> = {
  sessions: { table: sessions, key: sessions.seq },
  runs: { table: runs, key: runs.seq },
  run_events: { table: runEvents, key: runEvents.event_id },
  session_events: { table: sessionEvents, key: sessionEvents.id },
  runners: { table: runners, key: runners.runner_id },
  tokens: { table: tokens, key: tokens.token_id },
  callbacks: { table: callbacks, key: callbacks.callback_id },
}

/** What the database makes itself is left to it. */
const stored = (table: SQLiteTable) =>
  Object.fromEntries(
    Object.entries(getTableColumns(table)).filter(([, column]) => column.generated === undefined),
  )

/** @param existing a slip in its name must not make a new database */
export async function openSqliteTables(url: string, existing: boolean): Promise<Tables> {
  if (existing) existingDatabase(url)
  const { client, orm } = await openDatabase(url, 'full')
  return {
    async read(name, after, limit) {
      const { table, key } = TABLES[name]
      const rows = orm.select(stored(table)).from(table)
      const rest = after === null ? rows : rows.where(gt(key, after))
      return rest.orderBy(asc(key)).limit(limit).all() as Row[]
    },

    keyOf: (name, row) => row[TABLES[name].key.name] as Key,

    async write(name, rows) {
      const { table } = TABLES[name]
      client.transaction(() => {
        const newest = orm.get<{ id: number }>(
          sql`SELECT coalesce(max(event_id), 0) AS id FROM run_events`,
        )
        orm
          .insert(table)
          .values(rows as never)
          .run()
        // Its own history is copied: what is told of the copy itself is none.
        if (name !== 'run_events')
          orm.run(sql`DELETE FROM run_events WHERE event_id > ${newest.id}`)
      })()
    },

    async last(name) {
      const { table, key } = TABLES[name]
      const [row] = orm.select(stored(table)).from(table).orderBy(desc(key)).limit(1).all()
      return (row as Row | undefined) ?? null
    },

    async count(name, upTo) {
      const { table, key } = TABLES[name]
      const rows = orm.select({ count: count() }).from(table)
      return (upTo === null ? rows : rows.where(lte(key, upTo))).get()?.count ?? 0
    },

    /** Metrics are counted anew, from the history that was copied. */
    async finish() {
      client.transaction(() => {
        orm.run(sql`DELETE FROM counters WHERE name GLOB 'metrics_*'`)
        orm.run(sql`
          INSERT INTO counters (name, value)
          SELECT 'metrics_event_id', 0
          UNION ALL
          SELECT 'metrics_runs_' || status, sum(runs) FROM (
            SELECT status, count(*) AS runs FROM runs GROUP BY status
            UNION ALL SELECT to_status, -count(*) FROM run_events GROUP BY to_status
            UNION ALL SELECT from_status, count(*) FROM run_events
              WHERE from_status IS NOT NULL GROUP BY from_status)
          GROUP BY status`)
      })()
    },

    async close() {
      client.pragma('wal_checkpoint(TRUNCATE)')
      client.close()
    },
  }
}
