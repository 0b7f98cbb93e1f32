/**
 * The queue as a small model: what each operation does to runs, sessions and runners, told a second
 * time and without a database. Refusals are QueueErrors with an empty message.
 */
import { canonicalDemands, type Demands, satisfies } from '../../src/queue/demands.ts'
import { QueueError, type QueueErrorCode } from '../../src/queue/errors.ts'
import {
  ACTIVE_STATUSES,
  isTerminal,
  type NewRun,
  type RunStatus,
  type Timestamp,
} from '../../src/queue/run.ts'
import {
  type AddBounds,
  type Claim,
  MATCH_TIMEOUT_SECONDS,
  type Report,
} from '../../src/queue/run-queue.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import type { SessionStatus } from '../../src/queue/session.ts'
import { TRANSITIONS } from '../../src/queue/transitions.ts'
import { removeRunner } from './passing-time.ts'
import { ids, type ModelRun, type ModelSession, renewTimeout, State } from './state.ts'

type ReportKind = 'start' | 'complete' | 'fail' | 'confirm_stop'
/** A report of the start says nothing new then; of the others, only their own repetition does. */
const STARTED: readonly RunStatus[] = ['running', 'stopping', 'completed', 'failed', 'stopped']

const among = (list: readonly RunStatus[], status: RunStatus) => list.includes(status)
const refuse = (code: QueueErrorCode): never => {
  throw new QueueError(code, '')
}

export class Model extends State {
  run(run_id: string): ModelRun {
    return this.runs.find((run) => run.run_id === run_id) ?? refuse('run_not_found')
  }

  session(session_id: string): ModelSession {
    return this.sessions.get(session_id) ?? refuse('session_not_found')
  }

  activeOf(session_id: string): ModelRun | undefined {
    return this.runs.findLast(
      (run) => run.session_id === session_id && among(ACTIVE_STATUSES, run.status),
    )
  }

  #refuseWhenFull({ max_pending }: AddBounds): void {
    if (max_pending !== null && this.where('pending').length >= max_pending) refuse('queue_full')
  }

  add(given: NewRun, now: Timestamp, bounds: AddBounds): void {
    this.#refuseWhenFull(bounds)
    const { session_id, parent_session_id } = given
    if (parent_session_id && !this.sessions.has(parent_session_id)) refuse('parent_not_found')
    if (given.type === 'start_session') {
      if (this.sessions.has(session_id)) refuse('session_exists')
      this.sessions.set(session_id, { status: 'pending', changed_at: now, runner_id: null })
    } else {
      const { status } = this.session(session_id)
      if (status !== 'running' && status !== 'stopping') this.follow(session_id, 'pending', now)
    }
    const timeout_seconds = given.timeout_seconds ?? MATCH_TIMEOUT_SECONDS
    this.insert({ ...given, timeout_seconds }, canonicalDemands(given.demands), now)
  }

  /** All or none. */
  addMany(given: NewRun[], now: Timestamp, bounds: AddBounds): void {
    const [runs, sessions] = [[...this.runs], structuredClone([...this.sessions])]
    try {
      for (const run of given) this.add(run, now, bounds)
    } catch (error) {
      this.runs = runs
      this.sessions.clear()
      for (const [session_id, session] of sessions) this.sessions.set(session_id, session)
      throw error
    }
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
      .filter((run) => run.status === 'pending' && run.available_at === null)
      .filter((run) => satisfies(offer, run.demands))
      .sort(claimOrder)
      .slice(0, claim.limit)
      .map((run, i) => {
        const claim_token = claim.tokens[i] ?? null
        const claimed = { status: 'claimed', runner_id, claim_token, claim_key } as const
        Object.assign(run, claimed, { claimed_at: now, attempt: run.attempt + 1 })
        return handed(run)
      })
  }

  giveBack(run_id: string, claim_token: string, now: Timestamp): void {
    const run = this.runs.find((one) => one.run_id === run_id)
    if (run?.status === 'claimed' && run.claim_token === claim_token) this.release(run, now)
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
    const late = kind === 'start' && among(STARTED, run.status)
    return late || run.status === TRANSITIONS[kind].to ? null : refuse('run_wrong_status')
  }

  start(report: Report, now: Timestamp): void {
    const run = this.#reported('start', report)
    if (!run) return
    Object.assign(run, { status: 'running', started_at: now })
    this.#serve(run, 'running', now)
  }

  complete(report: Report, session_status: SessionStatus, now: Timestamp): void {
    const run = this.#reported('complete', report)
    if (!run) return
    Object.assign(run, { error: null })
    this.end(run, 'completed', now)
    this.#serve(run, session_status, now)
  }

  #serve({ session_id, runner_id }: ModelRun, status: SessionStatus, now: Timestamp): void {
    this.follow(session_id, status, now)
    this.session(session_id).runner_id = runner_id
  }

  fail(report: Report, error: string, now: Timestamp): void {
    const run = this.#reported('fail', report)
    if (run) this.failAttempt(run, error, now)
  }

  confirmStop(report: Report, now: Timestamp): void {
    const run = this.#reported('confirm_stop', report)
    if (run) this.end(run, 'stopped', now)
  }

  stop(run_id: string, now: Timestamp): string {
    const run = this.run(run_id)
    if (run.status === 'pending') {
      this.end(run, 'stopped', now)
      return 'cancelled'
    }
    if (run.status === 'stopping') return 'asked_before'
    if (isTerminal(run.status)) return 'ended'
    Object.assign(run, { status: 'stopping', stop_requested_at: now, stop_sent_at: null })
    this.follow(run.session_id, 'stopping', now)
    return 'requested'
  }

  stopSession(session_id: string, now: Timestamp): string {
    const session = this.session(session_id)
    const active = this.activeOf(session_id)
    if (active) return this.stop(active.run_id, now)
    if (session.status === 'stopping') return 'asked_before'
    if (['stopped', 'finished', 'failed'].includes(session.status)) return 'ended'
    const told = session.status === 'idle' && session.runner_id !== null
    this.follow(session_id, told ? 'stopping' : 'stopped', now)
    return told ? 'requested' : 'cancelled'
  }

  deleteSession(session_id: string): void {
    const session = this.session(session_id)
    if (session.status === 'running' || session.status === 'idle') refuse('session_active')
    this.sessions.delete(session_id)
    for (const run of this.where(...ACTIVE_STATUSES)) {
      if (run.session_id === session_id) this.await(run)
    }
    this.waiting = this.waiting.filter((run) => run.parent_session_id !== session_id)
    this.runs = this.runs.filter((run) => run.session_id !== session_id)
  }

  takeStops(runner_id: string, now: Timestamp, resendBefore: Timestamp): string[] {
    const due = this.where('stopping').filter(
      (run) =>
        run.runner_id === runner_id &&
        (run.stop_sent_at === null || run.stop_sent_at <= resendBefore),
    )
    for (const run of due) run.stop_sent_at = now
    return ids(due)
  }

  retry(run_id: string, new_run_id: string, now: Timestamp, bounds: AddBounds): void {
    const run = this.run(run_id)
    if (run.status !== 'failed' && run.status !== 'stopped') refuse('run_wrong_status')
    if (this.activeOf(run.session_id)) refuse('session_active')
    this.#refuseWhenFull(bounds)
    if (this.sessions.get(run.session_id)?.status !== 'stopping') {
      this.follow(run.session_id, 'pending', now)
    }
    this.insert({ ...run, run_id: new_run_id }, run.demands, now)
  }

  setDemands(run_id: string, demands: Demands | null, seconds: number, now: Timestamp): void {
    const run = this.run(run_id)
    if (run.status !== 'pending') refuse('run_wrong_status')
    run.demands = demands
    run.timeout_seconds = seconds
    const { available_at } = run
    renewTimeout(run, available_at !== null && available_at > now ? available_at : now)
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
    if (!this.runners.has(runner_id)) refuse('runner_not_found')
    return removeRunner(this, runner_id, now)
  }
}

/** sort() is stable: what is equal stays in the order of insertion. */
function claimOrder(a: ModelRun, b: ModelRun): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  return a.created_at < b.created_at ? -1 : Number(a.created_at > b.created_at)
}
