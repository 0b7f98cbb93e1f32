/** Why a run changed: the word that its history tells beside the statuses. */
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
