/**
 * How many runs are pending. Triggers keep the number once its rows are there, which is from when
 * somebody first asks: where nobody bounds the queue, no commit pays for it.
 */
import { sql } from '../drizzle.ts'
import type { Connection, Database } from './database.ts'
import { counters } from './schema.ts'
import { orm, preparedChange, Statement } from './statements.ts'

/** As many as the trigger tells apart. */
const SHARDS = 32
/** Any number that nothing else locks. */
const BOUND_LOCK = 7_311_001

const read = new Statement<{ count: number | null }>(
  sql`SELECT sum(value)::bigint AS count FROM ${counters} WHERE name = 'pending'`,
)
// Whoever writes runs waits meanwhile: a run that is added just now would be counted by nobody.
const lockRuns = preparedChange(sql`LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE`)
const keep = preparedChange(
  orm
    .insert(counters)
    .select(
      sql`SELECT 'pending', shard, CASE WHEN shard = 0
            THEN (SELECT count(*) FROM runs WHERE status = 'pending') ELSE 0 END
          FROM generate_series(0, ${sql.raw(String(SHARDS - 1))}) AS shard`,
    )
    .onConflictDoNothing(),
)
const lockBound = preparedChange(sql`SELECT pg_advisory_xact_lock(${sql.raw(String(BOUND_LOCK))})`)

/** From then on the number is kept. */
export async function keepPendingCount(database: Database): Promise<void> {
  if (await database.run(async (on) => (await read.get(on))?.count !== null)) return
  await database.transaction(async (on) => {
    await lockRuns.run(on)
    await keep.run(on)
  })
}

/** Those who add to a bounded queue go one after the other, so that together they keep the bound. */
export async function lockPendingBound(on: Connection): Promise<void> {
  await lockBound.run(on)
}

export const countPending = async (on: Connection): Promise<number> =>
  (await read.get(on))?.count ?? 0
