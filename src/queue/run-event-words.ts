/** What happened to a run, in words; the error that an attempt ended with is told beside them. */
import type { Cause } from './cause.ts'
import type { RunEvent } from './run-event.ts'

const WORDS: Record<Cause, (event: RunEvent, runner: string, by: string) => string> = {
  added: (_event, _runner, by) => `added by ${by}`,
  became_available: () => 'its time came',
  claimed: ({ attempt }, runner) => `attempt ${attempt}, claimed by ${runner}`,
  claim_released: (_, runner) => `given back: ${runner} did not get the answer`,
  claim_timed_out: (_, runner) => `given back: ${runner} did not start it in time`,
  started: (_, runner) => `started on ${runner}`,
  completed: (_, runner) => `completed on ${runner}`,
  failed: (event) => `attempt ${event.attempt} failed`,
  attempt_failed: (event) => `attempt ${event.attempt} failed, and will be repeated`,
  stop_requested: (_event, _runner, by) => `asked to stop by ${by}`,
  stopped: (_, runner) => `stopped on ${runner}`,
  cancelled: (_event, _runner, by) => `stopped by ${by} before anybody took it`,
  stop_timed_out: (_, runner) => `taken for stopped: ${runner} did not confirm it in time`,
  match_timed_out: () => 'given up',
  runner_lost: ({ attempt }, runner) => `attempt ${attempt} ended: ${runner} was lost`,
  runner_removed: ({ attempt }, runner) => `attempt ${attempt} ended: ${runner} was removed`,
  recovered: ({ attempt }) => `attempt ${attempt} ended: a server that started found it abandoned`,
  demands_changed: (_event, _runner, by) => `demands changed by ${by}`,
}

/** @param host of its runner, where that is known */
export function eventWords(event: RunEvent, host: string | undefined): string {
  const { cause, runner_id, from_status } = event
  if (cause === null) {
    return from_status === null ? 'added by plain SQL' : 'changed by hand, by plain SQL'
  }
  return WORDS[cause](event, host ?? runner_id ?? 'its runner', who(event))
}

/** Causes that say by themselves all that the error does. */
const SAYING_ALL: readonly (Cause | null)[] = ['runner_lost', 'runner_removed', 'recovered']

/** The error that the attempt ended with, where it says more. */
export const detailOf = ({ cause, detail }: RunEvent): string | null =>
  SAYING_ALL.includes(cause) ? null : detail

function who({ changed_by }: RunEvent): string {
  if (changed_by === null) return 'plain SQL'
  if (changed_by === 'client') return 'a client'
  return changed_by.startsWith('client:') ? changed_by.replace(':', ' ') : `the ${changed_by}`
}
