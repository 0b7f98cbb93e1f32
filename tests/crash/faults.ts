/**
 * Ways to be wrong that the harness must find out; `faulty-driver.mjs` makes a server on SQLite so, and
 * `faulty-pg.mjs` one on PostgreSQL in some of them.
 */
export const FAULTS = {
  acknowledges_first: 'acknowledged_kept',
  claims_what_is_held: 'held_once',
  takes_outdated_tokens: 'tokens_fence',
  forgets_idempotency_keys: 'added_once',
  forgets_claim_keys: 'claims_repeat',
  retries_without_end: 'attempts_bounded',
  keeps_stops_to_itself: 'stops_heard',
  hastens: 'not_before',
  newest_first: 'order_kept',
  drops_results: 'legally_ended',
  tells_parents_again: 'told_once',
} as const satisfies Record<string, string>

export type Fault = keyof typeof FAULTS
