/** What the model remembers, and the moves that operations and sweeps are made of. */
import { concernedSessions } from '../../src/queue/callback.ts'
import type { Demands } from '../../src/queue/demands.ts'
import { callbackRunId } from '../../src/queue/ids.ts'
import {
  ACTIVE_STATUSES,
  type NewRun,
  type Run,
  type RunStatus,
  type Timestamp,
} from '../../src/queue/run.ts'
import { MATCH_TIMEOUT_SECONDS, RETRY_DELAY_SECONDS_MAX } from '../../src/queue/run-queue.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import type { SessionStatus } from '../../src/queue/session.ts'
import { addSeconds } from '../../src/queue/time.ts'

/** The facts of a run that the model knows. */
export const COMPARED = [
  ...['run_id', 'session_id', 'status', 'runner_id', 'priority', 'demands', 'error'],
  ...['attempt', 'max_attempts', 'created_at', 'claimed_at', 'started_at', 'completed_at'],
  ...['retry_delay_seconds', 'on_lost', 'available_at', 'timeout_at'],
  ...['parent_session_id', 'execution_mode'],
] as (keyof Run)[]

export interface ModelRun extends Run {
  claim_token: string | null
  claim_key: string | null
  timeout_seconds: number
  stop_requested_at: Timestamp
  stop_sent_at: Timestamp | null
  /** It waits for a retry, until an instant between these which only the engine knows yet. */
  available_within: [from: Timestamp, to: Timestamp] | null
}

export interface ModelSession {
  status: SessionStatus
  changed_at: Timestamp
  /** Who served it last. */
  runner_id: string | null
}

export interface ModelRunner extends NewRunner {
  last_heartbeat: Timestamp
  marked: boolean
}

export class State {
  /** In order of insertion. */
  runs: ModelRun[] = []
  /** Children that ended, or were deleted, and whose parents are not told yet. */
  waiting: ModelRun[] = []
  /** Ended in the operation at hand. */
  ended: ModelRun[] = []
  readonly sessions = new Map<string, ModelSession>()
  readonly runners = new Map<string, ModelRunner>()

  where(...statuses: RunStatus[]): ModelRun[] {
    return this.runs.filter((run) => statuses.includes(run.status))
  }

  insert(
    given: NewRun & { timeout_seconds: number },
    demands: Demands | null,
    now: Timestamp,
  ): void {
    const { run_id, session_id, priority = 0, max_attempts = 1, timeout_seconds } = given
    const { retry_delay_seconds = null, on_lost = 'fail' } = given
    const { parent_session_id = null, execution_mode = 'sync' } = given
    const available_at = given.available_at && given.available_at > now ? given.available_at : null
    const run = {
      ...{ run_id, session_id, priority, max_attempts, timeout_seconds, demands },
      ...{ retry_delay_seconds, on_lost, available_at, available_within: null },
      ...{ parent_session_id, execution_mode },
      ...{ status: 'pending', attempt: 0, created_at: now, timeout_at: null },
      ...{ runner_id: null, error: null, claim_token: null, claim_key: null },
      ...{ claimed_at: null, started_at: null, completed_at: null, stop_sent_at: null },
    } as ModelRun
    renewTimeout(run, available_at ?? now)
    this.runs.push(run)
  }

  follow(session_id: string, status: SessionStatus, now: Timestamp): void {
    const session = this.sessions.get(session_id)
    if (session) Object.assign(session, { status, changed_at: now })
  }

  release(run: ModelRun, now: Timestamp): void {
    const free = { runner_id: null, claim_token: null, claim_key: null, claimed_at: null }
    Object.assign(run, free, { status: 'pending', attempt: run.attempt - 1 })
    renewTimeout(run, now)
  }

  failAttempt(run: ModelRun, error: string, now: Timestamp): void {
    this.#attemptOver(run, run.status !== 'stopping', error, now)
  }

  loseAttempt(run: ModelRun, error: string, now: Timestamp): void {
    this.#attemptOver(run, run.on_lost === 'requeue', error, now)
  }

  #attemptOver(run: ModelRun, mayRetry: boolean, error: string, now: Timestamp): void {
    Object.assign(run, { error, claim_key: null })
    if (!mayRetry || run.attempt >= run.max_attempts) {
      this.end(run, 'failed', now)
      return
    }
    Object.assign(run, { status: 'pending', runner_id: null, claimed_at: null, started_at: null })
    renewTimeout(run, now)
    const delay = (run.retry_delay_seconds ?? 0) * 2 ** (run.attempt - 1)
    const after = (seconds: number) => addSeconds(now, Math.min(RETRY_DELAY_SECONDS_MAX, seconds))
    if (delay > 0) run.available_within = [after(delay), after(delay * 1.25)]
    this.follow(run.session_id, 'pending', now)
  }

  /** The engine spreads retries as it likes, though only within bounds. */
  settleRetries(stored: Run[]): void {
    for (const run of this.runs) {
      if (run.available_within === null) continue
      const [from, to] = run.available_within
      const available_at = stored.find(({ run_id }) => run_id === run.run_id)?.available_at ?? ''
      if (available_at < from || available_at > to) {
        throw new Error(
          `${run.run_id} is available at '${available_at}', not from ${from} to ${to}`,
        )
      }
      Object.assign(run, { available_at, available_within: null })
      renewTimeout(run, available_at)
    }
  }

  end(run: ModelRun, status: 'completed' | 'failed' | 'stopped', now: Timestamp): void {
    Object.assign(run, { status, completed_at: now, available_at: null })
    this.follow(run.session_id, status === 'completed' ? 'finished' : status, now)
    this.ended.push(run)
    this.await(run)
  }

  /** The run is over: its parent is to be told, if it has one that wants to be. */
  await(run: ModelRun): void {
    const { parent_session_id, execution_mode, session_id } = run
    if (execution_mode !== 'async_callback' || parent_session_id === session_id) return
    if (parent_session_id !== null && this.sessions.has(parent_session_id)) this.waiting.push(run)
  }

  /** At the end of an operation. */
  tellParents(now: Timestamp): string[] {
    const concerned = concernedSessions(this.ended)
    this.ended = []
    return this.tell(concerned, now)
  }

  tellAll(now: Timestamp): string[] {
    return this.tell([...this.sessions.keys()].sort(), now)
  }

  private tell(session_ids: string[], now: Timestamp): string[] {
    const told: string[] = []
    for (const session_id of session_ids) {
      const isActive = this.where(...ACTIVE_STATUSES).some((run) => run.session_id === session_id)
      const children = this.waiting.filter((run) => run.parent_session_id === session_id)
      const [least] = ids(children).sort()
      if (isActive || least === undefined) continue
      this.waiting = this.waiting.filter((run) => !children.includes(run))
      const run_id = callbackRunId(least, now)
      if (this.sessions.get(session_id)?.status !== 'stopping') {
        this.follow(session_id, 'pending', now)
      }
      const timeout_seconds = MATCH_TIMEOUT_SECONDS
      const content = { type: 'resume_session', parameters: {}, timeout_seconds } as const
      this.insert({ run_id, session_id, ...content }, null, now)
      told.push(run_id)
    }
    return told
  }
}

export const ids = (runs: ModelRun[]): string[] => runs.map(({ run_id }) => run_id)

/** @param since when it is claimable from */
export function renewTimeout(run: ModelRun, since: Timestamp): void {
  run.timeout_at = run.demands === null ? null : addSeconds(since, run.timeout_seconds)
}
