/**
 * What the queue refuses, in words, once for all engines. Whether it does is decided by the statement
 * that would have changed something; these only say why it did not.
 */
import { QueueError } from './errors.ts'
import type { RunStatus } from './run.ts'
import { PARENT_DEPTH_LIMIT, type Report } from './run-queue.ts'
import type { NewRunner } from './runner.ts'
import type { RunRate } from './token.ts'
import { TRANSITIONS } from './transitions.ts'

export const runNotFound = () => new QueueError('run_not_found', 'Run not found')
export const runExists = (cause: unknown) =>
  new QueueError('run_exists', 'There is a run with this run_id already', { cause })
export const demandsNotPending = (run_id: string, status: RunStatus) =>
  wrongStatus(run_id, status, "only a pending run's demands can change")

export const runnerNotFound = () => new QueueError('runner_not_found', 'Runner not found')
export const runnerNotRegistered = () =>
  new QueueError('runner_not_registered', 'Runner not registered')
export const notRegisteredWithToken = () =>
  new QueueError('runner_not_registered', 'Runner not registered with a token')
export const runnerNotYours = (runner_id: string) =>
  new QueueError('runner_not_yours', `Runner ${runner_id} belongs to another token`)
export const tokenUnusable = () =>
  new QueueError('invalid_token', 'The token was revoked or has expired')

export const sessionNotFound = (session_id?: string) =>
  new QueueError(
    'session_not_found',
    session_id === undefined ? 'Session not found' : `Session '${session_id}' not found`,
  )
export const sessionExists = (session_id: string) =>
  new QueueError('session_exists', `Session '${session_id}' already exists`)
export const sessionAtWork = () => new QueueError('session_active', 'Stop session first')
export const sessionNotHeld = (session_id: string, runner_id: string) =>
  new QueueError(
    'session_not_held',
    `Session '${session_id}' is served by another runner than ${runner_id}`,
  )
export const sessionNotFinished = () =>
  new QueueError('session_not_finished', 'Session not finished or idle')
export const resultNotFound = () => new QueueError('result_not_found', 'No result found')

export const unknownEventId = () =>
  new QueueError('unknown_event_id', 'The id is of no event that was told here; 0 is before all')

const wrongStatus = (run_id: string, status: RunStatus, words: string) =>
  new QueueError('run_wrong_status', `Run ${run_id} is ${status}: ${words}`)

/** @throws QueueError queue_full, where as many are pending as may be */
export function refuseWhenFull(pending: number, max_pending: number): void {
  if (pending < max_pending) return
  throw new QueueError(
    'queue_full',
    `The queue is full: ${pending} runs are pending, and at most ${max_pending} may be`,
  )
}

/**
 * @param ancestors of the parent, itself included, counted to beyond the limit
 * @throws QueueError parent_not_found, parent_too_deep
 */
export function refuseParent(session_id: string, ancestors: number): void {
  if (ancestors === 0) {
    throw new QueueError('parent_not_found', `Parent session '${session_id}' not found`)
  }
  if (ancestors <= PARENT_DEPTH_LIMIT) return
  throw new QueueError(
    'parent_too_deep',
    `Parent session '${session_id}' has ${PARENT_DEPTH_LIMIT} ancestors or more: a run may have ${PARENT_DEPTH_LIMIT} at most`,
  )
}

export const idempotencyConflict = (key: string, run_id: string) =>
  new QueueError(
    'idempotency_conflict',
    `Idempotency key '${key}' was used for another request (run ${run_id})`,
  )

interface EndedRun {
  run_id: string
  session_id: string
  status: RunStatus
}

/**
 * @param active the run that its session has at hand
 * @throws QueueError run_wrong_status, session_active
 */
export function refuseRetry({ run_id, session_id, status }: EndedRun, active: string | null): void {
  if (status !== 'failed' && status !== 'stopped') {
    throw wrongStatus(run_id, status, 'only a failed or stopped run can be retried')
  }
  if (active === null) return
  throw new QueueError(
    'session_active',
    `Session '${session_id}' has an active run (${active}): wait for its end`,
  )
}

export function duplicateRunner(runner: NewRunner): QueueError {
  const { runner_id, hostname, project_dir, executor_profile, executor_type } = runner
  const identity = [hostname, project_dir, executor_profile ?? executor_type].join(', ')
  return new QueueError(
    'duplicate_runner',
    `Runner with identity (${identity}) is already registered and online as ${runner_id}`,
    { facts: { runner_id, hostname, project_dir, executor_profile, executor_type } },
  )
}

/** @param named the ids of the tokens that have that name and are not revoked */
export function tokenNotRevoked(id_or_name: string, named: string[]): QueueError {
  if (named.length === 0) {
    return new QueueError(
      'token_not_found',
      `There is no token with the id or name '${id_or_name}' that could be revoked`,
    )
  }
  return new QueueError(
    'token_ambiguous',
    `Several tokens are named '${id_or_name}': revoke by id (${named.join(', ')})`,
  )
}

/** Statuses in which a report is no news: it was made before, or comes merely late. */
const NO_NEWS = {
  start: ['running', 'stopping', 'completed', 'failed', 'stopped'],
  complete: ['completed'],
  fail: ['failed'],
  confirm_stop: ['stopped'],
} as const satisfies Partial<Record<keyof typeof TRANSITIONS, readonly RunStatus[]>>
export type ReportName = keyof typeof NO_NEWS

interface ReportedRun {
  status: RunStatus
  runner_id: string | null
  claim_token: string | null
}

/**
 * Why a report of a registered runner moved nothing. Returns where it is merely no news.
 * @throws QueueError run_not_found, run_not_held, claim_token_mismatch, run_wrong_status
 */
export function refuseReport(
  name: ReportName,
  { run_id, runner_id, claim_token }: Report,
  run: ReportedRun | undefined,
): void {
  if (!run) throw runNotFound()
  const { status } = run
  const sameToken = claim_token === null || run.claim_token === claim_token
  const retriedMeanwhile =
    name === 'fail' && status === 'pending' && claim_token !== null && sameToken
  if (retriedMeanwhile) return
  if (run.runner_id !== runner_id) {
    throw new QueueError('run_not_held', `Run ${run_id} is not held by runner ${runner_id}`)
  }
  if (!sameToken) {
    throw new QueueError(
      'claim_token_mismatch',
      `Run ${run_id} was claimed again since: this claim_token is outdated`,
    )
  }
  if ((NO_NEWS[name] as readonly RunStatus[]).includes(status)) return
  throw wrongStatus(run_id, status, `it must be ${TRANSITIONS[name].from.join(', ')}`)
}

/** @param level how many the token may add now, which is less than `cost` */
export function rateLimited(
  { burst, runs_per_second }: RunRate,
  cost: number,
  level: number,
): QueueError {
  const missing = Math.min(cost, burst) - level
  const retry_after_seconds = Math.max(1, Math.ceil(missing / runs_per_second))
  return new QueueError(
    'rate_limited',
    `This token may add ${runs_per_second} runs a second, ${burst} at once: try again in ${retry_after_seconds} s`,
    { facts: { retry_after_seconds } },
  )
}
