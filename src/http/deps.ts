import type { Config } from '../config.ts'
import type { Engine } from '../queue/engine.ts'
import type { Timestamp } from '../queue/run.ts'

/** What the routes work with. Time comes from here, so that tests decide it. */
export interface Deps {
  engine: Engine
  config: Pick<
    Config,
    | 'corsOrigins'
    | 'heartbeatIntervalSeconds'
    | 'maxPending'
    | 'noMatchTimeoutSeconds'
    | 'pollTimeoutSeconds'
    | 'staleThresholdSeconds'
  >
  now: () => Timestamp
  /** Aborted when the server is asked to leave: whoever waits gets an answer at once. */
  closing: AbortSignal
  /** An error that is nobody's mistake but ours. */
  onError: (error: unknown, request: { method: string; path: string }) => void
}
