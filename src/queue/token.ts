import { createHash, randomBytes } from 'node:crypto'
import type { Timestamp } from './run.ts'

/**
 * - `client`: runs and sessions.
 * - `runner`: register, claim, and report on what its own runners hold.
 * - `admin`: everything.
 */
export const TOKEN_ROLES = ['client', 'runner', 'admin'] as const
export type TokenRole = (typeof TOKEN_ROLES)[number]

/** What is known of a token; the token itself is with whoever it was made for. */
export interface Token {
  token_id: string
  /** What people call it. Several may have one name. */
  name: string
  role: TokenRole
  created_at: Timestamp
  expires_at: Timestamp | null
  revoked_at: Timestamp | null
}

export type NewToken = Omit<Token, 'created_at' | 'revoked_at'> & { token_hash: string }

/** On whose behalf something is done; null where no token is needed. */
export type Caller = Pick<Token, 'token_id' | 'name' | 'role'>

/** How many runs a token may add; taken from its bucket, which fills with time. */
export interface RunRate {
  token_id: string
  runs_per_second: number
  /** What a full bucket holds. More at once are let through when it is full, and paid off after. */
  burst: number
}

export const newTokenId = (): string => `tok_${randomBytes(6).toString('hex')}`
/** 256 random bits, so that a plain hash of it tells nobody the token. */
export const newToken = (): string => `rq_${randomBytes(32).toString('base64url')}`
export const tokenHash = (token: string): string => createHash('sha256').update(token).digest('hex')

export type TokenState = 'usable' | 'expired' | 'revoked'

export function tokenState(token: Token, now: Timestamp): TokenState {
  if (token.revoked_at !== null) return 'revoked'
  return token.expires_at !== null && token.expires_at <= now ? 'expired' : 'usable'
}
