/** What can go wrong between a client and the server, in words a person can act on. */
import type { Answer } from './fetch.ts'

/** The server answered, and the answer is no. `code` is stable, `message` is for people. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly detail: unknown
  readonly retryAfterSeconds: number | null

  constructor(status: number, body: ErrorBody, retryAfterSeconds: number | null) {
    super(body.message)
    this.name = 'ApiError'
    this.status = status
    this.code = body.code
    this.detail = body.detail
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** What a server says of the token that came with a request, or should have. */
const TOKEN_CODES = ['token_required', 'invalid_token', 'insufficient_scope', 'runner_not_yours']

/** The same request with another token may do; with this one it will not. */
export const isTokenRefused = (error: unknown): error is ApiError =>
  error instanceof ApiError && TOKEN_CODES.includes(error.code)

/** No answer came: nothing listens there, the connection broke, or the time was up. */
export class ConnectionError extends Error {
  constructor(url: string, cause: unknown) {
    super(`cannot reach runqueue at ${url}: ${reasonOf(cause)}`, { cause })
    this.name = 'ConnectionError'
  }
}

interface ErrorBody {
  code: string
  message: string
  detail: unknown
}

/** Reads an answer that is not 2xx. */
export function apiError(answer: Answer, text: string): ApiError {
  const body = parseObject(text)
  const status = `the server answered ${answer.status} ${answer.statusText}`.trimEnd()
  const retryAfter = Number(answer.headers.get('retry-after') ?? Number.NaN)
  return new ApiError(
    answer.status,
    {
      code: typeof body['code'] === 'string' ? body['code'] : `http_${answer.status}`,
      message: messageOf(body) ?? status,
      detail: body['detail'] ?? null,
    },
    Number.isFinite(retryAfter) ? retryAfter : null,
  )
}

/** Proxies answer errors in pages of their own: of those only the status says something. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(text)
    return isObject(body) ? body : {}
  } catch {
    return {}
  }
}

/**
 * The sentence that says most: which field is wrong and why, before the server's own summary.
 * @returns null where the body holds none.
 */
function messageOf(body: Record<string, unknown>): string | null {
  const { detail, message } = body
  const sentences = [
    problems(detail, 'loc', 'msg'),
    isObject(detail) ? problems(detail['validation_errors'], 'path', 'message') : null,
    message,
    detail,
    isObject(detail) ? detail['message'] : null,
  ]
  return sentences.find((each): each is string => typeof each === 'string' && each !== '') ?? null
}

/** `[{loc: ["body", "priority"], msg: "must be …"}]` becomes `priority: must be …`. */
function problems(list: unknown, place: string, words: string): string | null {
  if (!Array.isArray(list)) return null
  const sentences = list.filter(isObject).map((problem) => {
    const path = fieldPath(problem[place])
    return path === '' ? String(problem[words]) : `${path}: ${problem[words]}`
  })
  return sentences.length > 0 ? sentences.join('; ') : null
}

/** Where in the request, as a person writes it: neither "body" nor "$." says anything to them. */
function fieldPath(place: unknown): string {
  if (Array.isArray(place)) return place.slice(1).join('.')
  return String(place ?? '').replace(/^\$\.?/, '')
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused, nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host could not be looked up',
  ECONNRESET: 'the connection broke',
  UND_ERR_SOCKET: 'the connection broke',
  EHOSTUNREACH: 'there is no route to the host',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  ETIMEDOUT: 'the host does not answer',
}

/** fetch hides the reason ("fetch failed") one or two causes down. */
function reasonOf(error: unknown): string {
  let reason = error
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause
  if (!(reason instanceof Error)) return String(reason)
  const code = (reason as NodeJS.ErrnoException).code ?? ''
  return REASONS[code] ?? (reason.message || code || reason.name)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
