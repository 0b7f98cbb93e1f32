/** Why a run changed, and by whom: what its history tells beside the statuses. */
import type { Caller } from './token.ts'

export const CAUSES = [
  'added',
  /** Its time has come: the delay or the wait for another attempt is over. */
  'became_available',
  'claimed',
  /** Given back unstarted: the runner's connection died before it had the answer. */
  'claim_released',
  'claim_timed_out',
  'started',
  'completed',
  'failed',
  /** Failed, and pending again for another attempt. */
  'attempt_failed',
  'stop_requested',
  'stopped',
  /** Stopped before anybody took it. */
  'cancelled',
  /** Nobody confirmed the stop in time. */
  'stop_timed_out',
  'match_timed_out',
  /** Its runner was not heard of any more … */
  'runner_lost',
  /** … or went away by itself, or was sent away. */
  'runner_removed',
  /** A server that started found it abandoned. */
  'recovered',
  'demands_changed',
] as const
export type Cause = (typeof CAUSES)[number]

/** Who changed it: a client, by the name of its token; the runner that the event names; or this service. */
export type ChangedBy = 'client' | `client:${string}` | 'runner' | 'service'

export const clientOf = (caller: Caller | null | undefined): ChangedBy =>
  caller ? `client:${caller.name}` : 'client'

/** What a statement that moves a run says of it. */
export interface Reason {
  cause: Cause
  changed_by: ChangedBy
}
export const because = (cause: Cause, changed_by: ChangedBy): Reason => ({ cause, changed_by })
