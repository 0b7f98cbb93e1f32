/** Whose a runner is: asked in the statement of what is done in its name. */
import { type SQL, sql } from '../drizzle.ts'
import type { QueueError } from '../queue/errors.ts'
import { notRegisteredWithToken, runnerNotYours, tokenUnusable } from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Caller } from '../queue/token.ts'
import type { Connection } from './database.ts'
import { param, Statement, textParam } from './statements.ts'

/** A usable token; `id` is where its id stands. */
export const isUsable = (id: string) => sql`EXISTS (
  SELECT 1 FROM tokens WHERE tokens.token_id = ${sql.raw(id)} AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > ${textParam('now')}))`

/** Why a caller may not act for a runner; NULL: it may (drizzle/postgres/0002_insight.sql). */
export const refusal: SQL<Refusal | null> = sql<Refusal | null>`refusal(
  ${textParam('runner_id')}, ${textParam('token_id')}, ${param('is_admin')}::boolean, ${textParam('now')})`
/** … or there is no such runner, which is for the operation to tell. */
export const isAllowed = sql`${refusal} IS NULL`

export type Refusal = 'invalid_token' | 'runner_not_registered' | 'runner_not_yours'

export const asCaller = (caller: Caller | null | undefined) => ({
  token_id: caller?.token_id ?? null,
  is_admin: caller?.role === 'admin',
})

export function refusalError(refused: Refusal, runner_id: string): QueueError {
  if (refused === 'invalid_token') return tokenUnusable()
  if (refused === 'runner_not_yours') return runnerNotYours(runner_id)
  return notRegisteredWithToken()
}

const ask = new Statement<{ refused: Refusal | null }>(sql`SELECT ${refusal} AS refused`)

/** After what changed nothing. @throws QueueError where that was for want of the right to */
export async function explainRefusal(
  on: Connection,
  runner_id: string,
  caller: Caller | null | undefined,
  now: Timestamp,
): Promise<void> {
  if (!caller) return
  const { refused } = (await ask.get(on, { runner_id, ...asCaller(caller), now })) ?? {}
  if (refused) throw refusalError(refused, runner_id)
}
