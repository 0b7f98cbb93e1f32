import type { Demands } from './demands.ts'
import type { RecoveryMode, RecoveryPass } from './recovery.ts'
import type { AddedRun, ClaimedRun, NewRun, Run, RunResult, RunStatus, Timestamp } from './run.ts'
import type { RunChange } from './run-change.ts'
import type { RunEventFilter, RunEventPage } from './run-event.ts'
import type { Runner, Stops } from './runner.ts'
import type { SessionStatus } from './session.ts'
import type { Caller, RunRate } from './token.ts'

/** What a run with demands waits for a match unless it says otherwise. */
export const MATCH_TIMEOUT_SECONDS = 300
/** What `claim` hands out at most in one call, and `addMany` takes. */
export const CLAIM_LIMIT = 100
export const ADD_LIMIT = 1000
/** How many ancestors a run's session may have, by parent_session_id. */
export const PARENT_DEPTH_LIMIT = 32
/** What a retry waits at most, however often it was tried before. */
export const RETRY_DELAY_SECONDS_MAX = 86_400
/** What a list gives at most. */
export const LIST_LIMIT = 1000

export interface Claim {
  runner_id: string
  /** To whom the runner must belong; see `Runners`. */
  caller?: Caller | null
  /** How many runs at most: 1 to {@link CLAIM_LIMIT}; 0 in a poll that looks for stops only. */
  limit: number
  /** Names this claim: repeated with the same key, it returns the same runs. */
  claim_key: string | null
  /** One for each run that may be claimed: at least `limit`. */
  tokens: readonly string[]
}

/**
 * What one look brings a runner, in this order: it is not registered; it was marked for removal and
 * is now removed; it has runs or sessions to stop; it got runs; there is nothing for it yet.
 */
export type PollOutcome =
  | { kind: 'not_registered' }
  | { kind: 'deregistered'; changes: RunChange[] }
  | { kind: 'stops'; stops: Stops }
  | { kind: 'runs'; runs: ClaimedRun[] }
  | { kind: 'nothing'; runner: Runner }

/** Who reports on which run. Without a token only the runner's id is compared. */
export interface Report {
  run_id: string
  runner_id: string
  caller?: Caller | null
  claim_token: string | null
}

export interface Completion extends Report {
  session_status: Extract<SessionStatus, 'idle' | 'finished'>
  result: RunResult | null
}

export interface Failure extends Report {
  error: string
}

/** What the caller sets around the operation. */
export interface AddBounds {
  /** With so many runs pending, none is added; null: however many. */
  max_pending: number | null
  /** What the caller's token may add, `addMany` counting each run; null: as many as it likes. */
  rate?: RunRate | null
  /** On whose behalf, as the run's history tells. */
  caller?: Caller | null
  /** A runner whose last heartbeat is not after this is not online; absent: all are. */
  stale_before?: Timestamp
}

/** What a request to stop came to. */
export interface StopOutcome {
  run: Run
  /** `cancelled` before anybody took it, `requested` from its runner, `asked_before`, or `ended` already. */
  outcome: 'cancelled' | 'requested' | 'asked_before' | 'ended'
  session_status: SessionStatus
  changes: RunChange[]
}

export interface RunFilter {
  /** Only these statuses; absent: all. */
  statuses?: readonly RunStatus[] | undefined
  session_id?: string | undefined
  runner_id?: string | undefined
  /** 1 to {@link LIST_LIMIT}. */
  limit: number
  /** `next_cursor` of the page before. */
  cursor?: string | undefined
}

export interface RunPage {
  runs: Run[]
  next_cursor: string | null
}

/**
 * The queue, in whole operations. Each is atomic and on disk when its promise resolves; nothing is
 * remembered between calls, so any number of processes may call at once on one database.
 *
 * All may reject with QueueError `database_busy`, `database_full` or `database_unavailable`.
 *
 * Those that return {@link RunChange}s (`changes`) tell each change of a run that they made, the runs
 * among them that parents got because their children ended (`added`, by the service).
 */
export interface RunQueue {
  /**
   * Adds a pending run, and its session for `start_session`.
   * A resume takes agent_name and project_dir from its session where the run leaves them out, and
   * demands the hostname and executor the session is bound to. A child inherits its parent's scope.
   * @throws QueueError run_exists, session_exists, session_not_found, parent_not_found, parent_too_deep (more
   *   than {@link PARENT_DEPTH_LIMIT} ancestors), idempotency_conflict, queue_full, unmatchable (which it
   *   asked for), rate_limited (`facts` say after how many `retry_after_seconds` it would fit); then
   *   nothing is stored.
   */
  add(run: NewRun, now: Timestamp, bounds?: AddBounds): Promise<AddedRun>

  /** Adds up to {@link ADD_LIMIT} runs, all or none. Errors carry the `index` of the run refused. */
  addMany(runs: NewRun[], now: Timestamp, bounds?: AddBounds): Promise<AddedRun[]>

  /**
   * Hands the runner the oldest runs within the highest priority that demand no more than it
   * offers. Each run is decided by one statement, so that no two claims get the same run.
   * @returns the runs in claim order; empty where there is none, and for a runner that is not
   *   registered or marked for removal. An empty claim writes nothing.
   */
  claim(claim: Claim, now: Timestamp): Promise<ClaimedRun[]>

  /**
   * Looks once for whatever there is for a runner; see {@link PollOutcome}. Nothing found, nothing
   * written. Stops handed out before `resendBefore` and not confirmed are handed out again.
   */
  poll(claim: Claim, now: Timestamp, resendBefore: Timestamp): Promise<PollOutcome>

  /** Gives a claimed run back to the queue, if this claim still holds it. */
  release(run_id: string, claim_token: string, now: Timestamp): Promise<RunChange[]>

  /**
   * The runner reports that it began: claimed → running, the session runs.
   * A report that is merely late changes nothing and is no error: the run is running already, asked
   * to stop meanwhile, or ended by the same runner.
   * @throws QueueError runner_not_registered, run_not_found, run_not_held, claim_token_mismatch,
   *   run_wrong_status. So do `complete`, `fail` and `confirmStop`, for which a repetition of the
   *   runner's own report changes nothing and is no error.
   */
  start(report: Report, now: Timestamp): Promise<RunChange[]>
  complete(completion: Completion, now: Timestamp): Promise<RunChange[]>
  /** The run fails, or is pending again while attempts are left, after the delay of its retry. */
  fail(failure: Failure, now: Timestamp): Promise<RunChange[]>
  /** The runner reports that the run was stopped, asked or not. */
  confirmStop(report: Report, now: Timestamp): Promise<RunChange[]>

  /**
   * Asks for a stop: a pending run is stopped at once, a held one goes to `stopping` until its
   * runner confirms. A run that ended stays as it is.
   * @throws QueueError run_not_found
   */
  stop(run_id: string, now: Timestamp, caller?: Caller | null): Promise<StopOutcome>

  /**
   * Takes the stops waiting for this runner, once each; those not confirmed by
   * `resendBefore` (handed out before it) are taken again.
   */
  takeStops(runner_id: string, now: Timestamp, resendBefore: Timestamp): Promise<Stops>

  /**
   * Adds a new pending run with the content of one that failed or was stopped.
   * @throws QueueError run_not_found, run_wrong_status, session_active, queue_full, rate_limited
   */
  retry(run_id: string, new_run_id: string, now: Timestamp, bounds?: AddBounds): Promise<AddedRun>

  /**
   * Replaces the demands of a pending run; `timeout_seconds` counts from now, or from when the run
   * is available, and applies only to demands that demand something.
   * @throws QueueError run_not_found, run_wrong_status
   */
  setDemands(
    run_id: string,
    demands: Demands | null,
    timeout_seconds: number,
    now: Timestamp,
    caller?: Caller | null,
  ): Promise<Run>

  get(run_id: string): Promise<Run | null>
  /** The trace context that the run was added in, if there was one. */
  traceparent(run_id: string): Promise<string | null>
  /** In claim order, those that wait for their time among them. */
  pending(limit: number): Promise<Run[]>
  /** Claimed, running or stopping; oldest first. */
  active(limit: number): Promise<Run[]>
  /** The newest run of the session that has not ended. */
  activeOfSession(session_id: string): Promise<Run | null>
  /** Newest first. */
  list(filter: RunFilter): Promise<RunPage>

  /**
   * What happened to the run, oldest first; it is kept as long as the run.
   * @throws QueueError run_not_found, invalid_cursor
   */
  events(run_id: string, filter: RunEventFilter): Promise<RunEventPage>

  /**
   * Puts in order what an earlier server left; see {@link RecoveryMode}. One pass, which is bounded: it
   * is called again while there is `more`. `dryRun` only counts, all at once.
   */
  recover(mode: RecoveryMode, options: RecoverOptions, now: Timestamp): Promise<RecoveryPass>

  /** Pending runs whose time has come are claimable, at most `limit` of them. */
  makeAvailable(now: Timestamp, limit: number): Promise<RunChange[]>
  /** When the next run becomes available; null where none waits for its time. */
  nextAvailableAt(): Promise<Timestamp | null>
  /** Pending runs whose time for a match is over fail, at most `limit` of them. */
  failTimedOut(now: Timestamp, limit: number): Promise<RunChange[]>
  /** Claims from before `claimedBefore` that were not reported started are pending again. */
  releaseUnstarted(claimedBefore: Timestamp, now: Timestamp, limit: number): Promise<RunChange[]>
  /** Stops from before `requestedBefore` that no runner confirmed are taken as done. */
  settleUnconfirmedStops(
    requestedBefore: Timestamp,
    now: Timestamp,
    limit: number,
  ): Promise<RunChange[]>

  /**
   * Brings parents that have time what waits for them. Whatever ends a run here does so itself, in the
   * same transaction; what is left are runs that plain SQL ended, or that were deleted before their end. Looks at `limit` parents, those
   * after `after` (null: from the first on). @returns what was added, and from where the next call
   * goes on; null: from the first
   */
  deliverCallbacks(after: string | null, now: Timestamp, limit: number): Promise<DeliveredCallbacks>
}

export interface DeliveredCallbacks {
  changes: RunChange[]
  next: string | null
}

export interface RecoverOptions {
  /** Seconds since a run was claimed or started after which `stale` takes it for abandoned. */
  thresholdSeconds: number
  /** A runner with a heartbeat since then is alive, and `stale` leaves its runs to it. */
  aliveSince: Timestamp
  dryRun?: boolean
}
