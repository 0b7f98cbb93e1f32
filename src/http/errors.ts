/** Errors as answers: one table from codes to statuses, one shape for all. */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { QueueError, type QueueErrorCode } from '../queue/errors.ts'
import type { Deps } from './deps.ts'

const STATUS = {
  session_id_required: 400,
  session_not_finished: 400,
  invalid_cursor: 422,
  session_not_found: 404,
  parent_not_found: 404,
  parent_too_deep: 409,
  result_not_found: 404,
  run_not_found: 404,
  runner_not_found: 404,
  runner_not_registered: 401,
  session_exists: 409,
  session_active: 409,
  session_not_held: 409,
  run_not_held: 409,
  run_wrong_status: 409,
  claim_token_mismatch: 409,
  idempotency_conflict: 409,
  queue_full: 503,
  duplicate_runner: 409,
  database_busy: 503,
  database_unavailable: 503,
  database_full: 507,
} as const satisfies Record<QueueErrorCode, ContentfulStatusCode>

/** A request that was refused before it reached the queue. */
export class RequestError extends Error {
  readonly status: ContentfulStatusCode
  readonly code: string
  /** What existing clients read; the message itself where there is nothing more to say. */
  readonly detail: unknown

  constructor(status: ContentfulStatusCode, code: string, message: string, detail?: unknown) {
    super(message)
    this.name = 'RequestError'
    this.status = status
    this.code = code
    this.detail = detail ?? message
  }
}

/** One thing that is wrong with a request, in the form that existing clients know. */
export interface Fault {
  type: string
  loc: (string | number)[]
  msg: string
}

export class ValidationError extends RequestError {
  constructor(faults: Fault[]) {
    const message = faults.map(({ loc, msg }) => `${loc.slice(1).join('.') || loc[0]}: ${msg}`)
    super(422, 'validation_error', message.join('; '), faults)
    this.name = 'ValidationError'
  }
}

/** How long a client had better leave a queue that is full, locked or gone alone. */
const RETRY_AFTER_SECONDS = '1'

export function errorAnswer(error: Error, c: Context, onError: Deps['onError']): Response {
  if (error instanceof QueueError) {
    const status = STATUS[error.code]
    if (status >= 500) {
      c.header('Retry-After', RETRY_AFTER_SECONDS)
      // A full queue is what its bound is for.
      if (error.code !== 'queue_full') onError(error, c.req)
    }
    const { code, message, facts } = error
    const detail = code === 'duplicate_runner' ? { error: code, message, ...facts } : message
    return c.json({ detail, code, message }, status)
  }
  if (error instanceof RequestError) {
    const { status, code, message, detail } = error
    return c.json({ detail, code, message }, status)
  }
  onError(error, c.req)
  const message = 'Internal Server Error'
  return c.json({ detail: message, code: 'internal_error', message }, 500)
}

export function notFoundAnswer(c: Context): Response {
  const message = 'Not Found'
  return c.json({ detail: message, code: 'not_found', message }, 404)
}

export function methodNotAllowedAnswer(c: Context, methods: string[]): Response {
  const message = 'Method Not Allowed'
  const headers = { Allow: methods.join(', ') }
  return c.json({ detail: message, code: 'method_not_allowed', message }, 405, headers)
}
