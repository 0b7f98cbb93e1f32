/** How many runs a token may add: a bucket in its row, which fills with time. */
import { eq, sql } from '../drizzle.ts'
import { rateLimited } from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { RunRate } from '../queue/token.ts'
import type { Connection } from './database.ts'
import { tokens } from './schema.ts'
import { orm, param, prepared, textParam } from './statements.ts'

const number = (name: string) => sql`${param(name)}::float8`

/** What is in the bucket now. A clock that is behind another's fills nothing. */
const level = sql<number>`least(${number('burst')}, CASE WHEN bucket_at IS NULL THEN ${number('burst')}
  ELSE bucket_level + ${number('runs_per_second')} * greatest(0, extract(epoch FROM
    ${textParam('now')}::timestamptz - bucket_at::timestamptz)::float8) END)`

const isToken = eq(tokens.token_id, param('token_id'))
const take = prepared(
  orm
    .update(tokens)
    .set({
      bucket_level: sql`${level} - ${number('cost')}`,
      bucket_at: sql`greatest(bucket_at, ${textParam('now')})`,
    })
    .where(sql`${isToken} AND ${level} >= least(${number('cost')}, ${number('burst')})`)
    .returning({ token_id: tokens.token_id }),
)
const look = prepared(
  orm
    .select({ level: level.as('level') })
    .from(tokens)
    .where(isToken),
)

/**
 * Takes `cost` runs from the bucket, in the transaction that adds them: what is refused there costs
 * nothing.
 * @throws QueueError rate_limited
 */
export async function takeRuns(
  on: Connection,
  rate: RunRate,
  cost: number,
  now: Timestamp,
): Promise<void> {
  if (await take.get(on, { ...rate, cost, now })) return
  throw rateLimited(rate, cost, (await look.get(on, { ...rate, now }))?.level ?? 0)
}
