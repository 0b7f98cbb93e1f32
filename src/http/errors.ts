/** Errors as answers: one table from codes to statuses, one shape for all. */
import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { QueueError, type QueueErrorCode } from '../queue/errors.ts'
import type { Deps, Env } from './deps.ts'

const QUEUE_STATUS = {
  session_id_required: 400,
  session_not_finished: 400,
  invalid_cursor: 422,
  unknown_event_id: 400,
  session_not_found: 404,
  parent_not_found: 404,
  parent_too_deep: 409,
  result_not_found: 404,
  run_not_found: 404,
  runner_not_found: 404,
  runner_not_registered: 401,
  invalid_token: 401,
  runner_not_yours: 403,
  token_not_found: 404,
  session_exists: 409,
  run_exists: 409,
  session_active: 409,
  session_not_held: 409,
  run_not_held: 409,
  run_wrong_status: 409,
  claim_token_mismatch: 409,
  idempotency_conflict: 409,
  queue_full: 503,
  unmatchable: 409,
  duplicate_runner: 409,
  token_ambiguous: 409,
  rate_limited: 429,
  database_busy: 503,
  database_unavailable: 503,
  database_full: 507,
} as const satisfies Record<QueueErrorCode, ContentfulStatusCode>

/** Of what is refused before it reaches the queue. */
const REQUEST_STATUS = {
  body_broken_off: 400,
  malformed_request: 400,
  invalid_session_status: 400,
  parameter_validation_failed: 400,
  session_id_mismatch: 400,
  session_id_required: 400,
  token_required: 401,
  invalid_token: 401,
  host_not_allowed: 403,
  insufficient_scope: 403,
  origin_not_allowed: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  validation_error: 422,
  headers_too_large: 431,
  internal_error: 500,
  metrics_behind: 503,
  too_many_connections: 503,
  too_many_waiting: 503,
} as const satisfies Record<string, ContentfulStatusCode>

type RequestErrorCode = keyof typeof REQUEST_STATUS
export type ErrorCode = QueueErrorCode | RequestErrorCode
export const STATUS = { ...QUEUE_STATUS, ...REQUEST_STATUS } as const

/** A request that was refused before it reached the queue. */
export class RequestError<C extends RequestErrorCode = RequestErrorCode> extends Error {
  readonly status: ContentfulStatusCode
  readonly code: RequestErrorCode
  /** What existing clients read; the message itself where there is nothing more to say. */
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: (typeof REQUEST_STATUS)[C],
    code: C,
    message: string,
    detail?: unknown,
    headers: Record<string, string> = {},
  ) {
    super(message)
    this.name = 'RequestError'
    this.status = status
    this.code = code
    this.detail = detail ?? message
    this.headers = headers
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

/** What RFC 6750 wants beside a 401 or 403 that is about the token. */
export const wwwAuthenticate = (error?: 'invalid_token' | 'insufficient_scope') => ({
  'WWW-Authenticate': error === undefined ? 'Bearer' : `Bearer error="${error}"`,
})

function headersOf({ code, facts }: QueueError): Record<string, string> {
  if (code === 'invalid_token') return wwwAuthenticate('invalid_token')
  if (code === 'runner_not_yours') return wwwAuthenticate('insufficient_scope')
  if (code === 'rate_limited') return { 'Retry-After': String(facts['retry_after_seconds']) }
  return STATUS[code] >= 500 ? { 'Retry-After': RETRY_AFTER_SECONDS } : {}
}

export function errorAnswer(error: Error, c: Context<Env>, onError: Deps['onError']): Response {
  if (error instanceof QueueError) {
    const status = STATUS[error.code]
    // A full queue is what its bound is for.
    if (status >= 500 && error.code !== 'queue_full') onError(error, requestOf(c))
    const { code, message, facts } = error
    const detail = code === 'duplicate_runner' ? { error: code, message, ...facts } : message
    return c.json({ detail, code, message }, status, headersOf(error))
  }
  if (error instanceof RequestError) {
    const { status, code, message, detail, headers } = error
    return c.json({ detail, code, message }, status, { ...headers })
  }
  onError(error, requestOf(c))
  const message = 'Internal Server Error'
  return c.json({ detail: message, code: 'internal_error', message }, 500)
}

function requestOf(c: Context<Env>) {
  const { method, path } = c.req
  return { method, path, request_id: c.env?.facts?.request_id }
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
