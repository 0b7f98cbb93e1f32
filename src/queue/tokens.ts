import type { Timestamp } from './run.ts'
import type { NewToken, Token } from './token.ts'

/** Who may call. */
export interface Tokens {
  create(token: NewToken, now: Timestamp): Promise<Token>
  /** Newest first, at most `limit`. */
  list(limit: number): Promise<Token[]>
  /**
   * Revokes the token with this id, or with this name if just one that is not revoked has it. One
   * that was revoked before stays so.
   * @throws QueueError token_not_found, token_ambiguous
   */
  revoke(id_or_name: string, now: Timestamp): Promise<Token>
  /** In one read, as each request asks it. `token_hash` null asks only whether there is `any`. */
  find(token_hash: string | null): Promise<FoundToken>
}

export interface FoundToken {
  /** Whether there is a token at all, usable or not: then whoever calls needs one. */
  any: boolean
  token: (Token & { token_hash: string }) | null
}
