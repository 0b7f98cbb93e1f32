/** The tokens on PostgreSQL. */
import { desc, sql } from '../drizzle.ts'
import { tokenNotRevoked } from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Token } from '../queue/token.ts'
import type { FoundToken, Tokens } from '../queue/tokens.ts'
import type { Database } from './database.ts'
import { tokens } from './schema.ts'
import { orm, param, prepared, Statement, textParam } from './statements.ts'

const tokenColumns = {
  token_id: tokens.token_id,
  name: tokens.name,
  role: tokens.role,
  created_at: tokens.created_at,
  expires_at: tokens.expires_at,
  revoked_at: tokens.revoked_at,
}

const create = prepared(
  orm
    .insert(tokens)
    .values({
      token_id: param('token_id'),
      name: param('name'),
      role: param('role'),
      token_hash: param('token_hash'),
      created_at: param('now'),
      expires_at: param('expires_at'),
    })
    .returning(tokenColumns),
)
const list = prepared(
  orm
    .select(tokenColumns)
    .from(tokens)
    .orderBy(desc(tokens.created_at), desc(tokens.token_id))
    .limit(sql.placeholder('limit')),
)
const revoke = prepared(
  orm
    .update(tokens)
    .set({ revoked_at: sql`coalesce(revoked_at, ${param('now')})` })
    .where(
      sql`token_id = coalesce(
        (SELECT token_id FROM tokens WHERE token_id = ${param('id_or_name')}),
        (SELECT min(token_id) FROM tokens
         WHERE name = ${param('id_or_name')} AND revoked_at IS NULL HAVING count(*) = 1))`,
    )
    .returning(tokenColumns),
)
const named = prepared(
  orm
    .select({ token_id: tokens.token_id })
    .from(tokens)
    .where(sql`name = ${param('name')} AND revoked_at IS NULL`)
    .orderBy(tokens.token_id)
    .limit(10),
)

/**
 * Each request asks this, so that a token that was revoked, by whichever process, is of no use at
 * the next one. One read by a unique index.
 */
const find = new Statement<
  { any: boolean } & (NonNullable<FoundToken['token']> | { token_id: null })
>(
  sql`
    SELECT EXISTS (SELECT 1 FROM tokens) AS any, found.*
    FROM (SELECT 1) AS request LEFT JOIN (
      SELECT token_id, name, role, created_at, expires_at, revoked_at, token_hash FROM tokens
      WHERE token_hash = ${textParam('token_hash')}) AS found ON true`,
)

export const createTokens = (database: Database): Tokens => ({
  async create(token, now): Promise<Token> {
    const made = await database.run((on) => create.get(on, { ...token, now }))
    if (!made) throw new Error('a token that was inserted came not back')
    return made
  },

  list: (limit) => database.run((on) => list.all(on, { limit })),

  async revoke(id_or_name: string, now: Timestamp): Promise<Token> {
    const revoked = await database.run((on) => revoke.get(on, { id_or_name, now }))
    if (revoked) return revoked
    const found = await database.run((on) => named.all(on, { name: id_or_name }))
    throw tokenNotRevoked(
      id_or_name,
      found.map(({ token_id }) => token_id),
    )
  },

  async find(token_hash): Promise<FoundToken> {
    const found = await database.run((on) => find.get(on, { token_hash }))
    if (!found) return { any: false, token: null }
    const { any, ...token } = found
    return { any, token: token.token_id === null ? null : token }
  },
})
