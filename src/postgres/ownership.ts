/** Whose a runner is: asked before what is done in its name. */
import { sql } from 'drizzle-orm'
import { QueueError } from '../queue/errors.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Caller } from '../queue/token.ts'
import type { Database } from './database.ts'
import { param, Statement, textParam } from './statements.ts'

export type Ownership = ReturnType<typeof createOwnership>

/** A usable token; `id` is where its id stands. */
export const isUsable = (id: string) => sql`EXISTS (
  SELECT 1 FROM tokens WHERE tokens.token_id = ${sql.raw(id)} AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > ${textParam('now')}))`

export const notYours = (runner_id: string): QueueError =>
  new QueueError('runner_not_yours', `Runner ${runner_id} belongs to another token`)

const find = new Statement<{
  token_id: string | null
  is_registered: boolean
  is_usable: boolean
}>(sql`
  SELECT runners.token_id, runners.runner_id IS NOT NULL AS is_registered,
    ${isUsable('given.token_id')} AS is_usable
  FROM (SELECT ${textParam('token_id')} AS token_id) AS given
  LEFT JOIN runners ON runners.runner_id = ${param('runner_id')}`)

export const createOwnership = (database: Database) => ({
  /**
   * The token is looked at again, since a poll may have waited since its request was let in.
   * A runner that is not there is for the operation to tell.
   * @throws QueueError invalid_token, runner_not_yours, runner_not_registered
   */
  async check(runner_id: string, caller: Caller | null | undefined, now: Timestamp): Promise<void> {
    if (!caller) return
    const { token_id } = caller
    const found = await database.run((on) => find.get(on, { runner_id, token_id, now }))
    if (!found?.is_usable) {
      throw new QueueError('invalid_token', 'The token was revoked or has expired')
    }
    if (caller.role === 'admin' || !found.is_registered || found.token_id === token_id) return
    if (found.token_id !== null) throw notYours(runner_id)
    throw new QueueError('runner_not_registered', 'Runner not registered with a token')
  },
})
