/** The tokens on SQLite. */
import { desc, sql } from '../drizzle.ts'
import type { QueueError } from '../queue/errors.ts'
import { tokenNotRevoked } from '../queue/refusals.ts'
import type { Token } from '../queue/token.ts'
import type { Tokens } from '../queue/tokens.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Database } from './database.ts'
import { prepareFindToken } from './find-token.ts'
import { tokens } from './schema.ts'
import { atMost, param } from './statements.ts'

const tokenColumns = {
  token_id: tokens.token_id,
  name: tokens.name,
  role: tokens.role,
  created_at: tokens.created_at,
  expires_at: tokens.expires_at,
  revoked_at: tokens.revoked_at,
}

export function createTokens(
  { orm, client }: Pick<Database, 'orm' | 'client'>,
  lane: CommitLane,
): Tokens {
  const create = orm
    .insert(tokens)
    .values({
      token_id: param('token_id'),
      name: param('name'),
      role: param('role'),
      token_hash: param('token_hash'),
      created_at: param('now'),
      expires_at: param('expires_at'),
    })
    .returning(tokenColumns)
    .prepare()

  const list = orm
    .select(tokenColumns)
    .from(tokens)
    .orderBy(desc(tokens.created_at), desc(tokens.token_id))
    .limit(atMost('limit'))
    .prepare()

  const revoke = orm
    .update(tokens)
    .set({ revoked_at: sql`coalesce(revoked_at, ${param('now')})` })
    .where(
      sql`token_id = coalesce(
        (SELECT token_id FROM tokens WHERE token_id = ${param('id_or_name')}),
        (SELECT min(token_id) FROM tokens
         WHERE name = ${param('id_or_name')} AND revoked_at IS NULL HAVING count(*) = 1))`,
    )
    .returning(tokenColumns)
    .prepare()
  const named = orm
    .select({ token_id: tokens.token_id })
    .from(tokens)
    .where(sql`name = ${param('name')} AND revoked_at IS NULL`)
    .limit(atMost(10))
    .prepare()

  function notRevoked(id_or_name: string): QueueError {
    const found = named.all({ name: id_or_name })
    return tokenNotRevoked(
      id_or_name,
      found.map(({ token_id }) => token_id),
    )
  }

  return {
    create: (token, now) => lane.write((): Token => create.get({ ...token, now })),

    list: async (limit) => list.all({ limit }),

    revoke: (id_or_name, now) =>
      lane.write((): Token => {
        const revoked = revoke.get({ id_or_name, now })
        if (!revoked) throw notRevoked(id_or_name)
        return revoked
      }),

    find: prepareFindToken(client),
  }
}
