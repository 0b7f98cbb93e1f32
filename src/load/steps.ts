/** What is timed, and the figures that come of it. */

/**
 * Each is timed until its answer is here:
 * - `add`: from when the run was due, or from its request where it went on time;
 * - `wait`: from the same moment until a runner has the run;
 * - `claim`: from when a runner asked and the run was asked for, whichever came last;
 * - `started`, `completed`: from the runner's report.
 */
export const STEPS = ['add', 'wait', 'claim', 'started', 'completed'] as const
export type Step = (typeof STEPS)[number]

/** Milliseconds. */
export interface Latency {
  count: number
  p50: number
  p90: number
  p99: number
  p99_9: number
  max: number
}

export interface SeriesRow {
  /** Since the start of the measured part. */
  second: number
  /** How much of it the row covers: 1, but for the last. */
  seconds: number
  added: number
  claimed: number
  completed: number
  /** Null where nothing happened. */
  latency: Record<Step, { p50: number; p99: number } | null>
}

/** Percentiles from 0 to 100, rising. */
export type Distribution = { percentile: number; ms: number }[]

/** What people call the steps. */
export const STEP_TITLES: Record<Step, string> = {
  add: 'add',
  wait: 'wait for a runner',
  claim: 'claim',
  started: 'report started',
  completed: 'report completed',
}
