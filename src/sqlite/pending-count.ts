/**
 * How many runs are pending. Triggers keep the number once its row is there, which is from when
 * somebody first asks: where nobody bounds the queue, no commit pays for it.
 */
import { sql } from '../drizzle.ts'
import type { Orm } from './database.ts'
import { counters, runs } from './schema.ts'

export type PendingCount = ReturnType<typeof preparePendingCount>

export function preparePendingCount(orm: Orm) {
  const counted = sql`(SELECT value FROM ${counters} WHERE name = 'pending')`
  const all = sql`(SELECT count(*) FROM ${runs} WHERE status = 'pending')`
  const isKept = orm
    .select({ kept: sql<number>`${counted} IS NOT NULL` })
    .from(sql`(SELECT 1)`)
    .prepare()
  const keep = orm
    .insert(counters)
    .values({ name: 'pending', value: sql`${all}` })
    .onConflictDoNothing()
    .prepare()
  const read = orm
    .select({ count: sql<number>`coalesce(${counted}, ${all})` })
    .from(sql`(SELECT 1)`)
    .prepare()

  return {
    isKept: (): boolean => Boolean(isKept.get()?.kept),
    keep: (): void => void keep.run(),
    read: (): number => read.get()?.count ?? 0,
  }
}
