/** What the model does as time goes by: sweeps, lost runners, recovery. */
import { ERRORS, type RecoveryMode } from '../../src/queue/recovery.ts'
import { HELD_STATUSES, type Timestamp } from '../../src/queue/run.ts'
import type { RecoverOptions } from '../../src/queue/run-queue.ts'
import { addSeconds } from '../../src/queue/time.ts'
import { ids, type ModelRun, type State } from './state.ts'

export function makeAvailable(state: State, now: Timestamp): string[] {
  const due = state
    .where('pending')
    .filter(({ available_at }) => available_at !== null && available_at <= now)
  for (const run of due) run.available_at = null
  return ids(due)
}

export function nextAvailableAt(state: State): Timestamp | null {
  const times = state.where('pending').flatMap(({ available_at }) => available_at ?? [])
  return times.sort()[0] ?? null
}

export function failTimedOut(state: State, now: Timestamp): string[] {
  const late = state
    .where('pending')
    .filter(({ timeout_at }) => timeout_at !== null && timeout_at <= now)
  for (const run of late) {
    run.error = ERRORS.noMatch
    state.end(run, 'failed', now)
  }
  return ids(late)
}

export function releaseUnstarted(state: State, before: Timestamp, now: Timestamp): string[] {
  const late = state.where('claimed').filter(({ claimed_at }) => (claimed_at ?? '') <= before)
  for (const run of late) state.release(run, now)
  return ids(late)
}

export function settleUnconfirmedStops(state: State, before: Timestamp, now: Timestamp): string[] {
  const late = state.where('stopping').filter((run) => run.stop_requested_at <= before)
  for (const run of late) state.end(run, 'stopped', now)
  const stopping = new Set(state.where('stopping').map(({ session_id }) => session_id))
  for (const [session_id, { status, changed_at }] of state.sessions) {
    const due = status === 'stopping' && changed_at <= before && !stopping.has(session_id)
    if (due) state.follow(session_id, 'stopped', now)
  }
  return ids(late)
}

/** The runner is known. @returns the runs it held */
export function removeRunner(state: State, runner_id: string, now: Timestamp): string[] {
  state.runners.delete(runner_id)
  const held = state.where(...HELD_STATUSES).filter((run) => run.runner_id === runner_id)
  for (const run of held) {
    if (run.status === 'claimed') {
      state.release(run, now)
      state.follow(run.session_id, 'pending', now)
    } else if (run.status === 'running') state.loseAttempt(run, ERRORS.runnerLost, now)
    else state.end(run, 'stopped', now)
  }
  for (const [session_id, session] of state.sessions) {
    if (session.runner_id !== runner_id) continue
    if (session.status === 'idle') state.follow(session_id, 'finished', now)
    if (session.status === 'stopping') state.follow(session_id, 'stopped', now)
  }
  return ids(held)
}

export function removeLost(state: State, silentSince: Timestamp, now: Timestamp): string[] {
  const lost = [...state.runners.values()].filter((one) => one.last_heartbeat <= silentSince)
  for (const { runner_id } of lost) removeRunner(state, runner_id, now)
  return lost.map(({ runner_id }) => runner_id)
}

/** @returns how many were released, failed, stopped */
export function recover(
  state: State,
  mode: RecoveryMode,
  options: RecoverOptions,
  now: Timestamp,
): number[] {
  if (mode === 'none') return [0, 0, 0]
  const before = addSeconds(now, -options.thresholdSeconds)
  const abandoned = (run: ModelRun, since: Timestamp | null) => {
    const seen = state.runners.get(run.runner_id ?? '')?.last_heartbeat ?? ''
    return mode === 'all' || ((since ?? '') <= before && seen <= options.aliveSince)
  }
  const claimed = state.where('claimed').filter((run) => abandoned(run, run.claimed_at))
  const running = state.where('running').filter((run) => abandoned(run, run.started_at))
  const stopping = state.where('stopping').filter((run) => abandoned(run, null))
  const found = [claimed.length, running.length, stopping.length]
  if (options.dryRun) return found
  const error = mode === 'stale' ? ERRORS.restartedStale : ERRORS.restartedAll
  for (const run of claimed) state.release(run, now)
  for (const run of running) state.loseAttempt(run, error, now)
  for (const run of stopping) state.end(run, 'stopped', now)
  return found
}
