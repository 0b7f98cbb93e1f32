/**
 * The state machine, once. Every UPDATE that moves a run takes its guard from here.
 *
 * ```
 * pending ──claim──► claimed ──start──► running ──► completed | failed | stopped
 *    ▲                  │                  │
 *    └──────release─────┘                  └─stop─► stopping ──► stopped (or how it ended first)
 * ```
 */
import type { RunStatus } from './run.ts'

interface Transition {
  readonly from: readonly RunStatus[]
  readonly to: RunStatus
}

export const TRANSITIONS = {
  /** A runner takes the run. */
  claim: { from: ['pending'], to: 'claimed' },
  /** The claim came to nothing: its runner went away or never reported a start. */
  release: { from: ['claimed'], to: 'pending' },
  start: { from: ['claimed'], to: 'running' },
  /** Reports are taken from `claimed` too: the report of the start may have been lost. */
  complete: { from: ['claimed', 'running', 'stopping'], to: 'completed' },
  fail: { from: ['claimed', 'running', 'stopping'], to: 'failed' },
  confirm_stop: { from: ['claimed', 'running', 'stopping'], to: 'stopped' },
  /** Another attempt after a failure or a lost runner. */
  retry: { from: ['claimed', 'running'], to: 'pending' },
  /** Somebody asks for a stop: at once while nobody holds the run … */
  cancel: { from: ['pending'], to: 'stopped' },
  /** … through its runner otherwise. */
  request_stop: { from: ['claimed', 'running'], to: 'stopping' },
  /** No runner could take it in time. */
  time_out: { from: ['pending'], to: 'failed' },
} as const satisfies Record<string, Transition>
