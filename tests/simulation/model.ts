/**
 * The queue as a small pure model: what each operation does to runs, sessions and runners, told a
 * second time and without a database. Refusals are QueueErrors with an empty message.
 */
import { canonicalDemands, type Demands, satisfies } from '../../src/queue/demands.ts'
import { QueueError, type QueueErrorCode } from '../../src/queue/errors.ts'
import { ERRORS, type RecoveryMode } from '../../src/queue/recovery.ts'
import {
  ACTIVE_STATUSES,
  HELD_STATUSES,
  isTerminal,
  type NewRun,
  type Run,
  type RunStatus,
  type Timestamp,
} from '../../src/queue/run.ts'
import {
  type Claim,
  MATCH_TIMEOUT_SECONDS,
  type RecoverOptions,
  type Report,
} from '../../src/queue/run-queue.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import type { SessionStatus } from '../../src/queue/session.ts'
import { addSeconds } from '../../src/queue/time.ts'
import { TRANSITIONS } from '../../src/queue/transitions.ts'

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

interface ModelSession {
  status: SessionStatus
  changed_at: Timestamp
  /** Who served it last. */
  runner_id: string | null
}

interface ModelRunner extends NewRunner {
  last_heartbeat: Timestamp
  marked: boolean
}

type ReportKind = 'start' | 'complete' | 'fail' | 'confirm_stop'
const STATUSES_OF_LATE_START: readonly RunStatus[] = [
  ...['running', 'stopping', 'completed', 'failed', 'stopped'],
] as RunStatus[]

const among = (list: readonly RunStatus[], status: RunStatus) => list.includes(status)
const refuse = (code: QueueErrorCode): never => {
  throw new QueueError(code, '')
}

export class Model {
  /** In order of insertion. */
  runs: ModelRun[] = []
  readonly sessions = new Map<string, ModelSession>()
  readonly runners = new Map<string, ModelRunner>()

  run(run_id: string): ModelRun {
    return this.runs.find((run) => run.run_id === run_id) ?? refuse('run_not_found')
  }

  activeOf(session_id: string): ModelRun | undefined {
    return this.runs.findLast(
      (run) => run.session_id === session_id && among(ACTIVE_STATUSES, run.status),
    )
  }

  add(given: NewRun, now: Timestamp): void {
    const session = this.sessions.get(given.session_id)
    if (given.type === 'start_session') {
      if (session) refuse('session_exists')
      this.sessions.set(given.session_id, { status: 'pending', changed_at: now, runner_id: null })
    } else {
      if (!session) return refuse('session_not_found')
      if (['idle', 'finished', 'stopped', 'failed'].includes(session.status)) {
        this.#follow(given.session_id, 'pending', now)
      }
    }
    const timeout_seconds = given.timeout_seconds ?? MATCH_TIMEOUT_SECONDS
    this.#insert({ ...given, timeout_seconds }, canonicalDemands(given.demands), now)
  }

  claim(claim: Claim, now: Timestamp): [string, string | null][] {
    const { runner_id, claim_key } = claim
    const handed = ({ run_id, claim_token }: ModelRun): [string, string | null] => [
      run_id,
      claim_token,
    ]
    const before = this.runs.filter(
      (run) => claim_key !== null && run.claim_key === claim_key && run.runner_id === runner_id,
    )
    if (before.length > 0) {
      return before
        .filter(({ status }) => !isTerminal(status))
        .sort(claimOrder)
        .map(handed)
    }
    const runner = this.runners.get(runner_id)
    if (!runner || runner.marked) return []
    const offer = { ...runner, tags: runner.tags ?? [] }
    return this.runs
      .filter((run) => run.status === 'pending' && satisfies(offer, run.demands))
      .sort(claimOrder)
      .slice(0, claim.limit)
      .map((run, i) => {
        const claim_token = claim.tokens[i] ?? null
        const claimed = { status: 'claimed', runner_id, claim_token, claim_key } as const
        Object.assign(run, claimed, { claimed_at: now, attempt: run.attempt + 1 })
        return handed(run)
      })
  }

  release(run_id: string, claim_token: string, now: Timestamp): void {
    const run = this.runs.find((one) => one.run_id === run_id)
    if (run?.status === 'claimed' && run.claim_token === claim_token) this.#release(run, now)
  }

  /** @returns the run, if the report moves it */
  #reported(kind: ReportKind, { run_id, runner_id, claim_token }: Report): ModelRun | null {
    if (!this.runners.has(runner_id)) refuse('runner_not_registered')
    const run = this.run(run_id)
    const fits = claim_token === null || claim_token === run.claim_token
    if (kind === 'fail' && run.status === 'pending' && claim_token !== null && fits) return null
    if (run.runner_id !== runner_id) return refuse('run_not_held')
    if (!fits) return refuse('claim_token_mismatch')
    if (among(TRANSITIONS[kind].from, run.status)) return run
    const late = kind === 'start' && among(STATUSES_OF_LATE_START, run.status)
    return late || run.status === TRANSITIONS[kind].to ? null : refuse('run_wrong_status')
  }

  start(report: Report, now: Timestamp): void {
    const run = this.#reported('start', report)
    if (!run) return
    Object.assign(run, { status: 'running', started_at: now })
    this.#follow(run.session_id, 'running', now)
    const session = this.sessions.get(run.session_id)
    if (session) session.runner_id = report.runner_id
  }

  complete(report: Report, session_status: SessionStatus, now: Timestamp): void {
    const run = this.#reported('complete', report)
    if (run) this.#end(run, 'completed', now, session_status)
  }

  fail(report: Report, error: string, now: Timestamp): void {
    const run = this.#reported('fail', report)
    if (run) this.#failAttempt(run, error, now)
  }

  confirmStop(report: Report, now: Timestamp): void {
    const run = this.#reported('confirm_stop', report)
    if (run) this.#end(run, 'stopped', now)
  }

  stop(run_id: string, now: Timestamp): string {
    const run = this.run(run_id)
    if (run.status === 'pending') {
      this.#end(run, 'stopped', now)
      return 'cancelled'
    }
    if (run.status === 'stopping') return 'asked_before'
    if (isTerminal(run.status)) return 'ended'
    Object.assign(run, { status: 'stopping', stop_requested_at: now, stop_sent_at: null })
    this.#follow(run.session_id, 'stopping', now)
    return 'requested'
  }

  stopSession(session_id: string, now: Timestamp): string {
    const session = this.sessions.get(session_id) ?? refuse('session_not_found')
    const active = this.activeOf(session_id)
    if (active) return this.stop(active.run_id, now)
    if (session.status === 'stopping') return 'asked_before'
    if (['stopped', 'finished', 'failed'].includes(session.status)) return 'ended'
    const told = session.status === 'idle' && session.runner_id !== null
    this.#follow(session_id, told ? 'stopping' : 'stopped', now)
    return told ? 'requested' : 'cancelled'
  }

  deleteSession(session_id: string): void {
    const session = this.sessions.get(session_id) ?? refuse('session_not_found')
    if (session.status === 'running' || session.status === 'idle') refuse('session_active')
    this.sessions.delete(session_id)
    this.runs = this.runs.filter((run) => run.session_id !== session_id)
  }

  takeStops(runner_id: string, now: Timestamp, resendBefore: Timestamp): string[] {
    const due = this.#where('stopping').filter(
      (run) =>
        run.runner_id === runner_id &&
        (run.stop_sent_at === null || run.stop_sent_at <= resendBefore),
    )
    for (const run of due) run.stop_sent_at = now
    return ids(due)
  }

  retry(run_id: string, new_run_id: string, now: Timestamp): void {
    const run = this.run(run_id)
    if (run.status !== 'failed' && run.status !== 'stopped') refuse('run_wrong_status')
    if (this.activeOf(run.session_id)) refuse('session_active')
    if (this.sessions.get(run.session_id)?.status !== 'stopping') {
      this.#follow(run.session_id, 'pending', now)
    }
    this.#insert({ ...run, run_id: new_run_id }, run.demands, now)
  }

  setDemands(run_id: string, demands: Demands | null, seconds: number, now: Timestamp): void {
    const run = this.run(run_id)
    if (run.status !== 'pending') refuse('run_wrong_status')
    run.demands = demands
    run.timeout_seconds = seconds
    renewTimeout(run, now)
  }

  register(runner: NewRunner, now: Timestamp, staleBefore: Timestamp): void {
    const known = this.runners.get(runner.runner_id)
    if (known && known.last_heartbeat > staleBefore) refuse('duplicate_runner')
    const tags = runner.tags ?? known?.tags ?? []
    this.runners.set(runner.runner_id, { ...runner, tags, last_heartbeat: now, marked: false })
  }

  heartbeat(runner_id: string, now: Timestamp): void {
    const runner = this.runners.get(runner_id) ?? refuse('runner_not_registered')
    runner.last_heartbeat = now
  }

  deregister(runner_id: string): void {
    const runner = this.runners.get(runner_id) ?? refuse('runner_not_found')
    runner.marked = true
  }

  remove(runner_id: string, now: Timestamp): string[] {
    if (!this.runners.delete(runner_id)) refuse('runner_not_found')
    const held = this.runs.filter(
      (run) => run.runner_id === runner_id && among(HELD_STATUSES, run.status),
    )
    for (const run of held) {
      if (run.status === 'claimed') {
        this.#release(run, now)
        this.#follow(run.session_id, 'pending', now)
      } else if (run.status === 'running') this.#failAttempt(run, ERRORS.runnerLost, now)
      else this.#end(run, 'stopped', now)
    }
    for (const [session_id, session] of this.sessions) {
      if (session.runner_id !== runner_id) continue
      if (session.status === 'idle') this.#follow(session_id, 'finished', now)
      if (session.status === 'stopping') this.#follow(session_id, 'stopped', now)
    }
    return ids(held)
  }

  removeLost(silentSince: Timestamp, now: Timestamp): string[] {
    const lost = [...this.runners.values()].filter((one) => one.last_heartbeat <= silentSince)
    for (const { runner_id } of lost) this.remove(runner_id, now)
    return lost.map(({ runner_id }) => runner_id)
  }

  failTimedOut(now: Timestamp): string[] {
    const late = this.#where('pending').filter(
      ({ timeout_at }) => timeout_at !== null && timeout_at <= now,
    )
    for (const run of late) {
      run.error = ERRORS.noMatch
      this.#end(run, 'failed', now)
    }
    return ids(late)
  }

  releaseUnstarted(before: Timestamp, now: Timestamp): string[] {
    const late = this.#where('claimed').filter(({ claimed_at }) => (claimed_at ?? '') <= before)
    for (const run of late) this.#release(run, now)
    return ids(late)
  }

  settleUnconfirmedStops(before: Timestamp, now: Timestamp): string[] {
    const late = this.#where('stopping').filter((run) => run.stop_requested_at <= before)
    for (const run of late) this.#end(run, 'stopped', now)
    const stopping = new Set(this.#where('stopping').map(({ session_id }) => session_id))
    for (const [session_id, { status, changed_at }] of this.sessions) {
      const due = status === 'stopping' && changed_at <= before && !stopping.has(session_id)
      if (due) this.#follow(session_id, 'stopped', now)
    }
    return ids(late)
  }

  recover(mode: RecoveryMode, options: RecoverOptions, now: Timestamp): number[] {
    const before = addSeconds(now, -options.thresholdSeconds)
    const abandoned = (run: ModelRun, since: Timestamp | null) => {
      const seen = this.runners.get(run.runner_id ?? '')?.last_heartbeat ?? ''
      return mode === 'all' || ((since ?? '') <= before && seen <= options.aliveSince)
    }
    if (mode === 'none') return [0, 0, 0]
    const claimed = this.#where('claimed').filter((run) => abandoned(run, run.claimed_at))
    const running = this.#where('running').filter((run) => abandoned(run, run.started_at))
    const stopping = this.#where('stopping').filter((run) => abandoned(run, null))
    const error = mode === 'stale' ? ERRORS.restartedStale : ERRORS.restartedAll
    for (const run of claimed) this.#release(run, now)
    for (const run of running) this.#failAttempt(run, error, now)
    for (const run of stopping) this.#end(run, 'stopped', now)
    return [claimed.length, running.length, stopping.length]
  }

  #where(status: RunStatus): ModelRun[] {
    return this.runs.filter((run) => run.status === status)
  }

  #insert(given: NewRun & { timeout_seconds: number }, demands: Demands | null, now: Timestamp) {
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

  #follow(session_id: string, status: SessionStatus, now: Timestamp): void {
    const session = this.sessions.get(session_id)
    if (session) Object.assign(session, { status, changed_at: now })
  }

  #release(run: ModelRun, now: Timestamp): void {
    const free = { runner_id: null, claim_token: null, claim_key: null, claimed_at: null }
    Object.assign(run, free, { status: 'pending', attempt: run.attempt - 1 })
    renewTimeout(run, now)
  }

  #failAttempt(run: ModelRun, error: string, now: Timestamp): void {
    Object.assign(run, { error, claim_key: null })
    if (run.status === 'stopping' || run.attempt >= run.max_attempts) {
      this.#end(run, 'failed', now)
      return
    }
    Object.assign(run, { status: 'pending', runner_id: null, claimed_at: null, started_at: null })
    renewTimeout(run, now)
    this.#follow(run.session_id, 'pending', now)
  }

  #end(run: ModelRun, status: RunStatus, now: Timestamp, session?: SessionStatus): void {
    Object.assign(run, { status, completed_at: now })
    this.#follow(run.session_id, session ?? (status as SessionStatus), now)
  }
}

const ids = (runs: ModelRun[]) => runs.map(({ run_id }) => run_id)

/** sort() is stable: what is equal stays in the order of insertion. */
function claimOrder(a: ModelRun, b: ModelRun): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  return a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at)
}

function renewTimeout(run: ModelRun, now: Timestamp): void {
  run.timeout_at = run.demands === null ? null : addSeconds(now, run.timeout_seconds)
}
