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
import type { RunExplanation, RunnerExplanation } from '../queue/insight.ts'
import type {
  ExecutionMode,
  JsonObject,
  JsonValue,
  OnLost,
  RunStatus,
  RunType,
} from '../queue/run.ts'
import type { RunEventPage } from '../queue/run-event.ts'
import type { Session, SessionStatus } from '../queue/session.ts'
import { ApiError, apiError, ConnectionError } from './errors.ts'

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
  /** What the first retry waits; each further one waits twice as long. */
  retry_delay_seconds?: number
  /** What the loss of its runner does to it; `requeue` needs max_attempts of at least 2. */
  on_lost?: OnLost
  /** Not claimable before, an ISO time with its zone; or so many seconds from now. */
  available_at?: string
  delay_seconds?: number
  timeout_seconds?: number
  idempotency_key?: string
  /** Refused (`unmatchable`) where no runner online could take it now. */
  reject_if_unmatchable?: boolean
}

export interface AddRunAnswer {
  run_id: string
  session_id: string
  status: RunStatus
  /** How many runners online could take it now, counted up to 10. */
  matching_runners: number
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

export interface ClientOptions {
  /** Where the server listens, for example `http://127.0.0.1:8765`. */
  url: string
  /** As `runqueue token create` printed it. Not needed while the server has none. */
  token?: string | undefined
  fetch?: typeof fetch
}

interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  /** How long the answer may take, in seconds: 30 unless the call itself waits longer. */
  timeoutSeconds?: number
  signal?: AbortSignal | undefined
}

const TIMEOUT_SECONDS = 30

export class RunqueueClient {
  readonly url: string
  readonly #fetch: typeof fetch
  readonly #headers: Record<string, string>

  constructor(options: ClientOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.#fetch = options.fetch ?? fetch
    this.#headers = options.token ? { authorization: `Bearer ${options.token}` } : {}
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

  /** What happened to the run, oldest first. */
  listRunEvents(
    runId: string,
    query: { limit?: number; cursor?: string } = {},
  ): Promise<RunEventPage> {
    return this.#request('GET', `/runs/${encodeURIComponent(runId)}/events`, { query })
  }

  /** Why it does not start, or how it stands otherwise. */
  explainRun(runId: string): Promise<RunExplanation> {
    return this.#request('GET', `/runs/${encodeURIComponent(runId)}/explain`)
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

  listRunners(signal?: AbortSignal): Promise<{ runners: RunnerView[] }> {
    return this.#request('GET', '/runners', { signal })
  }

  /** Why it gets nothing, or what it gets next. */
  explainRunner(runnerId: string): Promise<RunnerExplanation> {
    return this.#request('GET', `/runners/${encodeURIComponent(runnerId)}/explain`)
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
    const seconds = options.timeoutSeconds ?? TIMEOUT_SECONDS
    const init: RequestInit = { method, headers: this.#headers }
    if (options.body !== undefined) {
      init.body = JSON.stringify(options.body)
      init.headers = { ...this.#headers, 'content-type': 'application/json' }
    }
    const abort = new AbortController()
    const timer = setTimeout(
      () => abort.abort(new Error(`no answer within ${seconds}s`)),
      seconds * 1000,
    )
    const cancel = () => abort.abort(options.signal?.reason)
    // By hand, not AbortSignal.any: on Node 20 that leaves an entry in the signal per request,
    // and a runner polls with one signal for as long as it lives.
    options.signal?.addEventListener('abort', cancel)
    if (options.signal?.aborted) cancel()
    try {
      const answer = await this.#fetch(url, { ...init, signal: abort.signal })
      const text = await answer.text()
      if (!answer.ok) throw apiError(answer, text)
      return parse<T>(text)
    } catch (error) {
      if (error instanceof ApiError || options.signal?.aborted) throw error
      throw new ConnectionError(this.url, error)
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', cancel)
    }
  }
}

function parse<T>(text: string): T {
  try {
    return (text === '' ? null : JSON.parse(text)) as T
  } catch {
    throw new Error('something answers there, but not in JSON, so it is no runqueue server')
  }
}
