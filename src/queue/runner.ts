import type { Capabilities } from './demands.ts'
import type { JsonObject, Timestamp } from './run.ts'

/** A registered runner: a process on somebody's host that takes runs. */
export interface Runner extends Capabilities {
  runner_id: string
  executor: JsonObject | null
  registered_at: Timestamp
  last_heartbeat: Timestamp
  /** Set when somebody asked for its removal; it is told at its next poll. */
  deregistered_at: Timestamp | null
}

export type NewRunner = Omit<
  Runner,
  'registered_at' | 'last_heartbeat' | 'deregistered_at' | 'tags'
> & {
  /** Null leaves the tags of a runner that comes back as they are. */
  tags: string[] | null
  agents: JsonObject[] | null
}

/** What a runner is asked to stop. */
export interface Stops {
  run_ids: string[]
  session_ids: string[]
}
