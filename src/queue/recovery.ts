/** What recovery and the sweep say, and how much they do; the words are part of the HTTP contract. */
import type { RunChange } from './run-change.ts'

/**
 * - `none`: touch nothing.
 * - `stale`: what is older than the threshold and not held by a runner that is alive: claimed runs
 *   are pending again, running ones fail or do what their on_lost says; stops are taken as done.
 * - `all`: the same for every held run, whatever its age and its runner.
 */
export const RECOVERY_MODES = ['none', 'stale', 'all'] as const
export type RecoveryMode = (typeof RECOVERY_MODES)[number]

/** What one pass changes at most of each kind. */
export const RECOVERY_BATCH = 500

export const RECOVERY_THRESHOLD_SECONDS = 300

export interface Recovered {
  released: number
  failed: number
  stopped: number
}

export interface RecoveryPass extends Recovered {
  changes: RunChange[]
  more: boolean
}

export const NOTHING_TO_RECOVER: RecoveryPass = {
  ...{ released: 0, failed: 0, stopped: 0 },
  ...{ changes: [], more: false },
}

export const ERRORS = {
  noMatch: 'No matching runner available within timeout',
  runnerLost: 'Runner disconnected during execution',
  restartedStale: 'Coordinator restarted during execution',
  restartedAll: 'Coordinator restarted - execution state unknown',
} as const
