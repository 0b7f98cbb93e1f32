/** How many runs a token may add: a bucket in its row, which fills with time. */
import { eq, sql } from '../drizzle.ts'
import { rateLimited } from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { RunRate } from '../queue/token.ts'
import type { Orm } from './database.ts'
import { tokens } from './schema.ts'
import { param } from './statements.ts'

/** What is in the bucket now. A clock that is behind another's fills nothing. */
const level = sql<number>`min(${param('burst')}, CASE WHEN bucket_at IS NULL THEN ${param('burst')}
  ELSE bucket_level + ${param('runs_per_second')}
    * max(0, unixepoch(${param('now')}, 'subsec') - unixepoch(bucket_at, 'subsec')) END)`

export function prepareRunRate(orm: Orm) {
  const isToken = eq(tokens.token_id, param('token_id'))
  const take = orm
    .update(tokens)
    .set({
      bucket_level: sql`${level} - ${param('cost')}`,
      bucket_at: sql`max(coalesce(bucket_at, ''), ${param('now')})`,
    })
    .where(sql`${isToken} AND ${level} >= min(${param('cost')}, ${param('burst')})`)
    .returning({ token_id: tokens.token_id })
    .prepare()
  const look = orm.select({ level }).from(tokens).where(isToken).prepare()

  /**
   * Takes `cost` runs from the bucket, in the transaction that adds them: what is refused there
   * costs nothing.
   * @throws QueueError rate_limited
   */
  return function takeRuns(rate: RunRate | null | undefined, cost: number, now: Timestamp): void {
    if (!rate || take.get({ ...rate, cost, now })) return
    throw rateLimited(rate, cost, look.get({ ...rate, now })?.level ?? 0)
  }
}
