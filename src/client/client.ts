/**
 * The typed client of the HTTP API: one method a call, answers as the server gives them.
 *
 * @example
 * const client = new RunqueueClient({ url: 'http://127.0.0.1:8765' })
 * const { run_id } = await client.addRun({ type: 'start_session', prompt: 'hello' })
 * const run = await client.getRun(run_id, { waitSeconds: 30 })
 */
import type { RunnerView, RunView } from '../http/views.ts'
import type { RunExplanation, RunnerExplanation } from '../queue/insight.ts'
import type { JsonValue } from '../queue/run.ts'
import type { LiveRunEvent, RunEventPage } from '../queue/run-event.ts'
import type {
  Session,
  SessionEvent,
  SessionMetadata,
  SessionResult,
  SessionStatus,
} from '../queue/session.ts'
import type { DeletedSession } from '../queue/sessions.ts'
import { type EventsQuery, events } from './events.ts'
import { type ClientOptions, TIMEOUT_SECONDS, Transport } from './transport.ts'
import type {
  AddRunAnswer,
  AddRunRequest,
  AddSessionEventRequest,
  BindRequest,
  ClaimAnswer,
  ClaimRequest,
  PollAnswer,
  RegisterAnswer,
  RegisterRequest,
  Report,
  RunListQuery,
  SessionStopAnswer,
  StopAnswer,
} from './types.ts'

/** Servers hold no request longer than that. */
const WAIT_SECONDS = 55

const session = (sessionId: string): string => `/sessions/${encodeURIComponent(sessionId)}`

export class RunqueueClient {
  readonly #transport: Transport

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options)
  }

  get url(): string {
    return this.#transport.url
  }

  health(): Promise<{ status: string }> {
    return this.#transport.request('GET', '/health', { timeoutSeconds: 5 })
  }

  /** Made again where it was not answered: an idempotency key sees to it that one run is added. */
  addRun(run: AddRunRequest, options: { signal?: AbortSignal } = {}): Promise<AddRunAnswer> {
    return this.#transport.request('POST', '/runs', {
      body: run,
      ...(this.#needsKey(run) && { headers: { 'idempotency-key': crypto.randomUUID() } }),
      repeatable: true,
      signal: options.signal,
    })
  }

  /** All or none of them; made again like `addRun`. */
  addRuns(
    runs: AddRunRequest[],
    options: { signal?: AbortSignal } = {},
  ): Promise<{ runs: AddRunAnswer[] }> {
    const keyed = runs.map((run) =>
      this.#needsKey(run) ? { ...run, idempotency_key: crypto.randomUUID() } : run,
    )
    return this.#transport.request('POST', '/runs/batch', {
      body: { runs: keyed },
      repeatable: true,
      signal: options.signal,
    })
  }

  listRuns(query: RunListQuery = {}): Promise<{ runs: RunView[]; next_cursor: string | null }> {
    return this.#transport.request('GET', '/runs', {
      query: { ...query, status: query.status?.join(',') },
    })
  }

  /** With `waitSeconds` the answer comes when the run has ended, or the time is up. */
  getRun(
    runId: string,
    options: { waitSeconds?: number; signal?: AbortSignal } = {},
  ): Promise<RunView> {
    const { waitSeconds, signal } = options
    return this.#transport.request('GET', `/runs/${encodeURIComponent(runId)}`, {
      query: { wait: waitSeconds },
      timeoutSeconds: TIMEOUT_SECONDS + (waitSeconds ?? 0),
      signal,
    })
  }

  /**
   * Waits for the end of a run, asking again as often as it takes.
   * @throws the signal's reason when it aborts
   */
  async waitForRun(runId: string, options: { signal?: AbortSignal } = {}): Promise<RunView> {
    for (;;) {
      options.signal?.throwIfAborted()
      const run = await this.getRun(runId, { waitSeconds: WAIT_SECONDS, ...options })
      if (run.completed_at !== null) return run
    }
  }

  /** What happened to the run, oldest first. */
  listRunEvents(
    runId: string,
    query: { limit?: number; cursor?: string } = {},
  ): Promise<RunEventPage> {
    return this.#transport.request('GET', `/runs/${encodeURIComponent(runId)}/events`, { query })
  }

  /** Why it does not start, or how it stands otherwise. */
  explainRun(runId: string): Promise<RunExplanation> {
    return this.#transport.request('GET', `/runs/${encodeURIComponent(runId)}/explain`)
  }

  stopRun(runId: string): Promise<StopAnswer> {
    return this.#transport.request('POST', `/runs/${encodeURIComponent(runId)}/stop`, {
      repeatable: true,
    })
  }

  retryRun(runId: string): Promise<AddRunAnswer> {
    return this.#transport.request('POST', `/runs/${encodeURIComponent(runId)}/retry`)
  }

  listSessions(
    query: { limit?: number; cursor?: string } = {},
  ): Promise<{ sessions: Session[]; next_cursor: string | null }> {
    return this.#transport.request('GET', '/sessions', { query })
  }

  getSession(sessionId: string): Promise<{ session: Session }> {
    return this.#transport.request('GET', `/sessions/${encodeURIComponent(sessionId)}`)
  }

  getSessionStatus(sessionId: string): Promise<{ status: SessionStatus | 'not_existent' }> {
    return this.#transport.request('GET', `/sessions/${encodeURIComponent(sessionId)}/status`)
  }

  getSessionResult(sessionId: string): Promise<SessionResult> {
    return this.#transport.request('GET', `${session(sessionId)}/result`)
  }

  /** Where the session lives, and runs that resume it must go. */
  getSessionAffinity(sessionId: string): Promise<{
    affinity: Pick<Session, 'session_id' | 'hostname' | 'project_dir' | 'executor_profile'>
  }> {
    return this.#transport.request('GET', `${session(sessionId)}/affinity`)
  }

  /** Oldest first. */
  listSessionEvents(sessionId: string): Promise<{ events: SessionEvent[] }> {
    return this.#transport.request('GET', `${session(sessionId)}/events`)
  }

  addSessionEvent(sessionId: string, event: AddSessionEventRequest): Promise<{ ok: true }> {
    return this.#transport.request('POST', `${session(sessionId)}/events`, {
      body: { session_id: sessionId, ...event },
    })
  }

  bindSession(sessionId: string, binding: BindRequest): Promise<{ ok: true; session: Session }> {
    return this.#transport.request('POST', `${session(sessionId)}/bind`, {
      body: binding,
      repeatable: true,
    })
  }

  /** What is absent or null stays as it is. */
  updateSession(
    sessionId: string,
    metadata: SessionMetadata,
  ): Promise<{ ok: true; session: Session }> {
    return this.#transport.request('PATCH', `${session(sessionId)}/metadata`, {
      body: metadata,
      repeatable: true,
    })
  }

  stopSession(sessionId: string): Promise<SessionStopAnswer> {
    return this.#transport.request('POST', `${session(sessionId)}/stop`, { repeatable: true })
  }

  /** With its runs and events. */
  deleteSession(sessionId: string): Promise<{
    ok: true
    session_id: string
    deleted: DeletedSession & { session: true }
  }> {
    return this.#transport.request('DELETE', session(sessionId))
  }

  /** What happens to runs from now on, or from an event that was seen before; see `EventsQuery`. */
  events(query: EventsQuery = {}): AsyncGenerator<LiveRunEvent, never, undefined> {
    return events(this.#transport, query)
  }

  listRunners(signal?: AbortSignal): Promise<{ runners: RunnerView[] }> {
    return this.#transport.request('GET', '/runners', { signal })
  }

  /** Why it gets nothing, or what it gets next. */
  explainRunner(runnerId: string): Promise<RunnerExplanation> {
    return this.#transport.request('GET', `/runners/${encodeURIComponent(runnerId)}/explain`)
  }

  registerRunner(runner: RegisterRequest): Promise<RegisterAnswer> {
    return this.#transport.request('POST', '/runner/register', { body: runner })
  }

  heartbeat(runnerId: string): Promise<{ ok: true }> {
    const body = { runner_id: runnerId }
    return this.#transport.request('POST', '/runner/heartbeat', { body, repeatable: true })
  }

  /** Waits as long as the server has runners wait, for one run; null: there was nothing. */
  pollRuns(runnerId: string, signal?: AbortSignal): Promise<PollAnswer | null> {
    return this.#transport.request('GET', '/runner/runs', {
      query: { runner_id: runnerId },
      timeoutSeconds: TIMEOUT_SECONDS + WAIT_SECONDS,
      signal,
      // A run in an answer that was lost is another claim's by then.
      repeatable: false,
    })
  }

  /**
   * Waits up to `wait_seconds` for runs, stops or a deregistration. With a `claim_key` it may be made
   * again, by the client too, and brings the same runs.
   */
  claimRuns(request: ClaimRequest, signal?: AbortSignal): Promise<ClaimAnswer> {
    return this.#transport.request('POST', '/runner/runs/claim', {
      body: request,
      timeoutSeconds: TIMEOUT_SECONDS + (request.wait_seconds ?? 0),
      signal,
      repeatable: request.claim_key !== undefined,
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
    return this.#transport.request(
      'POST',
      `/runner/sessions/${encodeURIComponent(sessionId)}/status`,
      {
        body: report,
      },
    )
  }

  /** `self`: the runner itself says goodbye; otherwise it is told at its next poll. */
  removeRunner(runnerId: string, options: { self?: boolean } = {}): Promise<{ ok: true }> {
    return this.#transport.request('DELETE', `/runners/${encodeURIComponent(runnerId)}`, {
      query: { self: options.self },
    })
  }

  #report(runId: string, report: string, body: Report): Promise<{ ok: true }> {
    return this.#transport.request('POST', `/runner/runs/${encodeURIComponent(runId)}/${report}`, {
      body,
      repeatable: true,
    })
  }

  #needsKey({ idempotency_key }: AddRunRequest): boolean {
    return this.#transport.retries > 0 && idempotency_key === undefined
  }
}
