/**
 * The typed client of the HTTP API: one method a call, answers as the server gives them.
 *
 * @example
 * const client = new RunqueueClient({ url: 'http://127.0.0.1:8765' })
 * const { run_id } = await client.addRun({ type: 'start_session', prompt: 'hello' })
 * const run = await client.getRun(run_id, { waitSeconds: 30 })
 */
import type { ClaimedRunView, RunnerView, RunView } from '../http/views.ts'
import type { DemandsInput } from '../queue/demands.ts'
import type { ExecutionMode, JsonObject, JsonValue, RunStatus, RunType } from '../queue/run.ts'
import type { Session, SessionStatus } from '../queue/session.ts'

export interface AddRunRequest {
  type: RunType
  /** One of `parameters` and `prompt`; `prompt` is short for `{ prompt }`. */
  parameters?: JsonObject
  prompt?: string
  session_id?: string
  agent_name?: string
  project_dir?: string
  parent_session_id?: string
  execution_mode?: ExecutionMode
  additional_demands?: DemandsInput
  scope?: JsonObject
  priority?: number
  max_attempts?: number
  timeout_seconds?: number
  idempotency_key?: string
}

export interface AddRunAnswer {
  run_id: string
  session_id: string
  status: RunStatus
}

export interface RunListQuery {
  status?: string[]
  session_id?: string
  runner_id?: string
  limit?: number
  cursor?: string
}

export interface StopAnswer {
  ok: true
  run_id: string
  session_id: string
  status: string
  message?: string
}

export interface RegisterRequest {
  hostname: string
  project_dir: string
  executor_profile?: string
  executor_type?: string
  executor?: JsonObject
  tags?: string[]
  require_matching_tags?: boolean
}

export interface RegisterAnswer {
  runner_id: string
  poll_endpoint: string
  poll_timeout_seconds: number
  heartbeat_interval_seconds: number
}

export interface ClaimRequest {
  runner_id: string
  limit?: number
  wait_seconds?: number
  claim_key?: string
}

export interface ClaimAnswer {
  runs: ClaimedRunView[]
  stop_runs: string[]
  stop_sessions: string[]
  deregistered: boolean
}

/** Who reports; the token fences a runner that lost its claim and came back. */
export interface Report {
  runner_id: string
  claim_token?: string
}

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

/** No answer came: nothing listens there, the connection broke, or the time was up. */
export class ConnectionError extends Error {
  constructor(url: string, cause: unknown) {
    super(`cannot reach runqueue at ${url}: ${causeOf(cause)}`, { cause })
    this.name = 'ConnectionError'
  }
}

export interface ClientOptions {
  /** Where the server listens, for example `http://127.0.0.1:8765`. */
  url: string
  fetch?: typeof fetch
}

interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  /** How long the answer may take, in seconds: 30 unless the call itself waits longer. */
  timeoutSeconds?: number
  signal?: AbortSignal | undefined
}

interface ErrorBody {
  code: string
  message: string
  detail: unknown
}

const TIMEOUT_SECONDS = 30

export class RunqueueClient {
  readonly url: string
  readonly #fetch: typeof fetch

  constructor(options: ClientOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.#fetch = options.fetch ?? fetch
  }

  health(): Promise<{ status: string }> {
    return this.#request('GET', '/health', { timeoutSeconds: 5 })
  }

  addRun(run: AddRunRequest): Promise<AddRunAnswer> {
    return this.#request('POST', '/runs', { body: run })
  }

  addRuns(runs: AddRunRequest[]): Promise<{ runs: AddRunAnswer[] }> {
    return this.#request('POST', '/runs/batch', { body: { runs } })
  }

  listRuns(query: RunListQuery = {}): Promise<{ runs: RunView[]; next_cursor: string | null }> {
    return this.#request('GET', '/runs', { query: { ...query, status: query.status?.join(',') } })
  }

  /** With `waitSeconds` the answer comes when the run has ended, or the time is up. */
  getRun(
    runId: string,
    options: { waitSeconds?: number; signal?: AbortSignal } = {},
  ): Promise<RunView> {
    const { waitSeconds, signal } = options
    return this.#request('GET', `/runs/${encodeURIComponent(runId)}`, {
      query: { wait: waitSeconds },
      timeoutSeconds: TIMEOUT_SECONDS + (waitSeconds ?? 0),
      signal,
    })
  }

  stopRun(runId: string): Promise<StopAnswer> {
    return this.#request('POST', `/runs/${encodeURIComponent(runId)}/stop`)
  }

  retryRun(runId: string): Promise<AddRunAnswer> {
    return this.#request('POST', `/runs/${encodeURIComponent(runId)}/retry`)
  }

  listSessions(
    query: { limit?: number; cursor?: string } = {},
  ): Promise<{ sessions: Session[]; next_cursor: string | null }> {
    return this.#request('GET', '/sessions', { query })
  }

  getSession(sessionId: string): Promise<{ session: Session }> {
    return this.#request('GET', `/sessions/${encodeURIComponent(sessionId)}`)
  }

  getSessionStatus(sessionId: string): Promise<{ status: SessionStatus | 'not_existent' }> {
    return this.#request('GET', `/sessions/${encodeURIComponent(sessionId)}/status`)
  }

  listRunners(): Promise<{ runners: RunnerView[] }> {
    return this.#request('GET', '/runners')
  }

  registerRunner(runner: RegisterRequest): Promise<RegisterAnswer> {
    return this.#request('POST', '/runner/register', { body: runner })
  }

  heartbeat(runnerId: string): Promise<{ ok: true }> {
    return this.#request('POST', '/runner/heartbeat', { body: { runner_id: runnerId } })
  }

  /** Waits up to `wait_seconds` for runs, stops or a deregistration. */
  claimRuns(request: ClaimRequest, signal?: AbortSignal): Promise<ClaimAnswer> {
    return this.#request('POST', '/runner/runs/claim', {
      body: request,
      timeoutSeconds: TIMEOUT_SECONDS + (request.wait_seconds ?? 0),
      signal,
    })
  }

  reportStarted(runId: string, report: Report): Promise<{ ok: true }> {
    return this.#report(runId, 'started', report)
  }

  reportCompleted(
    runId: string,
    report: Report & { result?: { text?: string | null; data?: JsonValue } },
  ): Promise<{ ok: true }> {
    return this.#report(runId, 'completed', report)
  }

  reportFailed(runId: string, report: Report & { error: string }): Promise<{ ok: true }> {
    return this.#report(runId, 'failed', report)
  }

  reportStopped(runId: string, report: Report & { signal?: string }): Promise<{ ok: true }> {
    return this.#report(runId, 'stopped', report)
  }

  reportSessionStatus(
    sessionId: string,
    report: { runner_id: string; status: 'finished' | 'failed' | 'stopped' },
  ): Promise<{ ok: true }> {
    return this.#request('POST', `/runner/sessions/${encodeURIComponent(sessionId)}/status`, {
      body: report,
    })
  }

  /** `self`: the runner itself says goodbye; otherwise it is told at its next poll. */
  removeRunner(runnerId: string, options: { self?: boolean } = {}): Promise<{ ok: true }> {
    return this.#request('DELETE', `/runners/${encodeURIComponent(runnerId)}`, {
      query: { self: options.self },
    })
  }

  #report(runId: string, report: string, body: Report): Promise<{ ok: true }> {
    return this.#request('POST', `/runner/runs/${encodeURIComponent(runId)}/${report}`, { body })
  }

  async #request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const url = new URL(this.url + path)
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const timeout = AbortSignal.timeout((options.timeoutSeconds ?? TIMEOUT_SECONDS) * 1000)
    const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
    const init: RequestInit = { method, signal }
    if (options.body !== undefined) {
      init.body = JSON.stringify(options.body)
      init.headers = { 'content-type': 'application/json' }
    }
    try {
      const answer = await this.#fetch(url, init)
      const text = await answer.text()
      if (answer.ok) return (text === '' ? null : JSON.parse(text)) as T
      throw new ApiError(answer.status, errorBody(answer.status, text), retryAfter(answer))
    } catch (error) {
      if (error instanceof ApiError || options.signal?.aborted) throw error
      throw new ConnectionError(this.url, error)
    }
  }
}

/** Proxies and other servers answer errors in shapes of their own; make them ours. */
function errorBody(status: number, text: string): ErrorBody {
  let body: Partial<ErrorBody> = {}
  try {
    body = (JSON.parse(text) ?? {}) as Partial<ErrorBody>
  } catch {
    body = { message: text.slice(0, 500) }
  }
  return {
    code: body.code ?? `http_${status}`,
    message: body.message || `the server answered ${status}`,
    detail: body.detail ?? null,
  }
}

function retryAfter(answer: Response): number | null {
  const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds : null
}

/** fetch hides the reason ("fetch failed") one or two causes down. */
function causeOf(error: unknown): string {
  let reason = error
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause
  if (!(reason instanceof Error)) return String(reason)
  return reason.message || (reason as NodeJS.ErrnoException).code || reason.name
}
