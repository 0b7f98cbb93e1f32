/** What the model remembers, and the moves that operations and sweeps are made of. */
import type { Demands } from '../../src/queue/demands.ts'
import type { NewRun, Run, RunStatus, Timestamp } from '../../src/queue/run.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import type { SessionStatus } from '../../src/queue/session.ts'
import { addSeconds } from '../../src/queue/time.ts'

/** The facts of a run that the model knows. */
export const COMPARED = [
  ...['run_id', 'session_id', 'status', 'runner_id', 'priority', 'demands', 'error'],
  ...['attempt', 'max_attempts', 'created_at', 'claimed_at', 'started_at', 'completed_at'],
  'timeout_at',
] as (keyof Run)[]

export interface ModelRun extends Run {
  claim_token: string | null
  claim_key: string | null
  timeout_seconds: number
  stop_requested_at: Timestamp
  stop_sent_at: Timestamp | null
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
    const run = {
      ...{ run_id, session_id, priority, max_attempts, timeout_seconds, demands },
      ...{ status: 'pending', attempt: 0, created_at: now, timeout_at: null },
      ...{ runner_id: null, error: null, claim_token: null, claim_key: null },
      ...{ claimed_at: null, started_at: null, completed_at: null, stop_sent_at: null },
    } as ModelRun
    renewTimeout(run, now)
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
    Object.assign(run, { error, claim_key: null })
    if (run.status === 'stopping' || run.attempt >= run.max_attempts) {
      this.end(run, 'failed', now)
      return
    }
    Object.assign(run, { status: 'pending', runner_id: null, claimed_at: null, started_at: null })
    renewTimeout(run, now)
    this.follow(run.session_id, 'pending', now)
  }

  end(run: ModelRun, status: 'completed' | 'failed' | 'stopped', now: Timestamp): void {
    Object.assign(run, { status, completed_at: now })
    this.follow(run.session_id, status === 'completed' ? 'finished' : status, now)
  }
}

export const ids = (runs: ModelRun[]): string[] => runs.map(({ run_id }) => run_id)

export function renewTimeout(run: ModelRun, now: Timestamp): void {
  run.timeout_at = run.demands === null ? null : addSeconds(now, run.timeout_seconds)
}
