/** Whose a runner is: asked in the transaction of what is done in its name. */
import { sql } from '../drizzle.ts'
import { notRegisteredWithToken, runnerNotYours, tokenUnusable } from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Caller } from '../queue/token.ts'
import type { Orm } from './database.ts'
import { runners, tokens } from './schema.ts'
import { param } from './statements.ts'

export type Ownership = ReturnType<typeof prepareOwnership>

/** A usable token; `id` is where its id stands. */
export const isUsable = (id: string) => sql`EXISTS (
  SELECT 1 FROM ${tokens} WHERE tokens.token_id = ${sql.raw(id)} AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > ${param('now')}))`

export function prepareOwnership(orm: Orm) {
  const find = orm
    .select({
      token_id: runners.token_id,
      is_registered: sql<number>`${runners.runner_id} IS NOT NULL`,
      is_usable: sql<number>`${isUsable('given.token_id')}`,
    })
    .from(sql`(SELECT ${param('token_id')} AS token_id) AS given`)
    .leftJoin(runners, sql`${runners.runner_id} = ${param('runner_id')}`)
    .prepare()

  return {
    /**
     * The token is looked at again, since a poll may have waited since its request was let in.
     * A runner that is not there is for the operation to tell.
     * @throws QueueError invalid_token, runner_not_yours, runner_not_registered
     */
    check(runner_id: string, caller: Caller | null | undefined, now: Timestamp): void {
      if (!caller) return
      const { token_id } = caller
      const found = find.get({ runner_id, token_id, now })
      if (!found?.is_usable) {
        throw tokenUnusable()
      }
      if (caller.role === 'admin' || !found.is_registered || found.token_id === token_id) return
      if (found.token_id !== null) throw runnerNotYours(runner_id)
      throw notRegisteredWithToken()
    },
  }
}
