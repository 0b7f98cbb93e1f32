import type { Condition, Demands } from './demands.ts'
import type { RunStatus, Timestamp } from './run.ts'

/** What is looked at at most: claimable runs that come before one, demands, runners. */
export const INSIGHT_LIMIT = 1000
/** What an answer names at most of runners and of demands, the nearest first, and of held runs. */
export const NAMED_LIMIT = 10
export const NAMED_RUNS_LIMIT = 5
/** How far `matching_runners` is counted. */
export const MATCHING_RUNNERS_LIMIT = 10

/** How long this service waits, on which what time brings depends. */
export interface Terms {
  /** Without a heartbeat for so long a runner is stale … */
  stale_seconds: number
  /** … and for so long it is removed. */
  remove_seconds: number
  /** A claim that is not reported started by then is pending again. */
  claim_timeout_seconds: number
}

/** A count that stops somewhere; with `at_least` there may be more. */
export interface Count {
  count: number
  at_least: boolean
}

/** `deregistered`: somebody asked for its removal, and it gets no more runs. */
export type RunnerState = 'online' | 'stale' | 'deregistered'

export interface HeldRun {
  run_id: string
  status: RunStatus
  /** Since when it is so, where that is known. */
  since: Timestamp | null
}

/** What stands between a run and a runner. */
export interface RunnerMatch {
  runner_id: string
  hostname: string
  state: RunnerState
  last_heartbeat: Timestamp
  deregistered_at: Timestamp | null
  /** It offers what the run demands: all conditions are met. */
  satisfies: boolean
  conditions: Condition[]
  /** What holds it, of those online that could take the run. */
  holds: HeldRun[]
  holds_left_out: number
  /** … and what it would get next. */
  next_run_id: string | null
  /** All of this in words. */
  summary: string
}

export interface RunExplanation {
  run_id: string
  status: RunStatus
  /** How it stands, in one sentence. */
  summary: string
  /** Why it is not further, in sentences, the most telling first. */
  reasons: string[]
  /** What time will bring, where that is known. */
  outlook: string | null
  demands: Demands | null
  priority: number
  runner_id: string | null
  available_at: Timestamp | null
  timeout_at: Timestamp | null
  /** How many claimable runs come before it; null where it is not claimable itself. */
  ahead: Count | null
  /** Runners online that could take it; null, as without runners below, where it needs none. */
  matching_runners: Count | null
  /** The nearest first. */
  runners: RunnerMatch[]
  runners_left_out: Count
}

/** What keeps a runner from the runs that demand this. */
export interface UnmetDemands {
  demands: Demands | null
  /** The first of the runs that demand it. */
  run_id: string
  priority: number
  /** Those that are not met. */
  conditions: Condition[]
  summary: string
}

export interface RunnerExplanation {
  runner_id: string
  hostname: string
  state: RunnerState
  summary: string
  reasons: string[]
  outlook: string | null
  tags: string[]
  require_matching_tags: boolean
  last_heartbeat: Timestamp
  deregistered_at: Timestamp | null
  holds: HeldRun[]
  holds_left_out: number
  /** What it would get by a claim now. */
  next_run_id: string | null
  /** When the next of the runs that wait for their time becomes claimable. */
  next_available_at: Timestamp | null
  /** Of the different demands of claimable runs, those that it does not meet, the nearest first. */
  unmet: UnmetDemands[]
  unmet_left_out: Count
}

/**
 * Why a run does not start, and why a runner gets nothing: asked of the claim itself, so that no
 * answer says other than what a claim would do. Reads only, and no more than {@link INSIGHT_LIMIT} of
 * anything.
 */
export interface Insight {
  /** @throws QueueError run_not_found */
  explainRun(run_id: string, terms: Terms, now: Timestamp): Promise<RunExplanation>
  /** @throws QueueError runner_not_found */
  explainRunner(runner_id: string, terms: Terms, now: Timestamp): Promise<RunnerExplanation>
}
