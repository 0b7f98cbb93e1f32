import type { HttpBindings } from '@hono/node-server'
import type { Config } from '../config.ts'
import type { Engine } from '../queue/engine.ts'
import type { Terms } from '../queue/insight.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Caller } from '../queue/token.ts'
import type { Log, RequestFacts } from './requests.ts'
import type { StreamLimits } from './sse-stream.ts'

/** What the routes work with. Time comes from here, so that tests decide it. */
export interface Deps {
  engine: Engine
  config: Pick<
    Config,
    | 'claimTimeoutSeconds'
    | 'corsOrigins'
    | 'heartbeatIntervalSeconds'
    | 'host'
    | 'maxPending'
    | 'maxWaiting'
    | 'noMatchTimeoutSeconds'
    | 'pollTimeoutSeconds'
    | 'removeThresholdSeconds'
    | 'runRateBurst'
    | 'runRateLimit'
    | 'staleThresholdSeconds'
  >
  now: () => Timestamp
  /** Where live streams are to be bounded otherwise than they are, as tests want. */
  streamLimits?: Partial<StreamLimits>
  /** Aborted when the server is asked to leave: whoever waits gets an answer at once. */
  closing: AbortSignal
  /** An error that is nobody's mistake but ours. */
  onError: (error: unknown, request: FailedRequest) => void
  /** Is told of what this process changes, and of requests. */
  log: Log
}

interface FailedRequest {
  method: string
  path: string
  request_id?: string | undefined
}

/** How long this service waits, as explanations state it. */
export const termsOf = ({ config }: Deps): Terms => ({
  stale_seconds: config.staleThresholdSeconds,
  remove_seconds: config.removeThresholdSeconds,
  claim_timeout_seconds: config.claimTimeoutSeconds,
})

export interface Env {
  Bindings: Partial<HttpBindings> & { facts?: RequestFacts }
  Variables: {
    /** Whose token came with the request; null where none is needed. */
    caller: Caller | null
  }
}
