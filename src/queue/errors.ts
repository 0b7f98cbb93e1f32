/**
 * One error class; the code says which. Engines translate their drivers' errors into it, the HTTP
 * layer maps codes to statuses in one table.
 */

const QUEUE_ERROR_CODES = [
  'session_id_required',
  'session_not_found',
  'session_exists',
  'session_active',
  'session_not_held',
  'session_not_finished',
  'parent_not_found',
  'parent_too_deep',
  'result_not_found',
  'invalid_cursor',
  'unknown_event_id',
  'run_exists',
  'run_not_found',
  'run_not_held',
  'run_wrong_status',
  'claim_token_mismatch',
  'idempotency_conflict',
  'queue_full',
  'unmatchable',
  'runner_not_registered',
  'runner_not_found',
  'duplicate_runner',
  'runner_not_yours',
  'invalid_token',
  'token_not_found',
  'token_ambiguous',
  'rate_limited',
  'database_busy',
  'database_full',
  'database_unavailable',
] as const
export type QueueErrorCode = (typeof QUEUE_ERROR_CODES)[number]

export class QueueError extends Error {
  readonly code: QueueErrorCode
  /** Facts for programs, beside the sentence for people. */
  readonly facts: Readonly<Record<string, unknown>>

  constructor(
    code: QueueErrorCode,
    message: string,
    options: { facts?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'QueueError'
    this.code = code
    this.facts = options.facts ?? {}
  }
}

/** A database that cannot be opened, in words that say what to do about it. */
export class DatabaseOpenError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DatabaseOpenError'
  }
}
