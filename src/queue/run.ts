/**
 * What a run is: the words and shapes that SQL, JSON, CLI and UI share.
 *
 * Field names are the column names and the JSON keys, so that a fact is spelled one way everywhere.
 */
import type { Demands, DemandsInput } from './demands.ts'

/** An instant as ISO-8601 UTC text with milliseconds (`2026-01-31T12:00:00.000Z`): it sorts as text. */
export type Timestamp = string

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue }
export type JsonObject = { [key: string]: JsonValue }

export const RUN_TYPES = ['start_session', 'resume_session'] as const
export type RunType = (typeof RUN_TYPES)[number]

export const EXECUTION_MODES = ['sync', 'async_poll', 'async_callback'] as const
export type ExecutionMode = (typeof EXECUTION_MODES)[number]

export const RUN_STATUSES = [
  'pending',
  'claimed',
  'running',
  'stopping',
  'completed',
  'failed',
  'stopped',
] as const
export type RunStatus = (typeof RUN_STATUSES)[number]

/**
 * What the loss of its runner does to a run that is running: it fails, whatever attempts are left,
 * since the lost runner may be at it still; or it is pending again while attempts are left.
 */
export const ON_LOST = ['fail', 'requeue'] as const
export type OnLost = (typeof ON_LOST)[number]

/** A run in one of these will not change again. */
export const TERMINAL_STATUSES = ['completed', 'failed', 'stopped'] as const
/** A run in one of these is somebody's work to come or at hand. */
export const ACTIVE_STATUSES = ['pending', 'claimed', 'running', 'stopping'] as const
/** A run in one of these is held by a runner. */
export const HELD_STATUSES = ['claimed', 'running', 'stopping'] as const

export const isTerminal = (status: RunStatus): boolean =>
  (TERMINAL_STATUSES as readonly RunStatus[]).includes(status)

/** What a runner hands back: text for people, data for programs; either may be missing. */
export interface RunResult {
  text: string | null
  data: JsonValue
}

/** A run as the database holds it. */
export interface Run {
  run_id: string
  session_id: string
  type: RunType
  agent_name: string | null
  /** The `prompt` member of `parameters`. */
  prompt: string | null
  parameters: JsonObject
  /** Context for tools that the model itself never sees; children inherit it. */
  scope: JsonObject | null
  project_dir: string | null
  parent_session_id: string | null
  execution_mode: ExecutionMode
  demands: Demands | null
  /** Higher goes first; equal priorities go oldest first. */
  priority: number
  status: RunStatus
  runner_id: string | null
  error: string | null
  result: RunResult | null
  /** Which attempt this is, from 1 with the first claim; a claim that never started does not count. */
  attempt: number
  max_attempts: number
  /** What the first retry waits; each further one waits twice as long. Null: it does not wait. */
  retry_delay_seconds: number | null
  on_lost: OnLost
  created_at: Timestamp
  claimed_at: Timestamp | null
  started_at: Timestamp | null
  completed_at: Timestamp | null
  /** Until when a pending run is kept from being claimed; null where nothing keeps it. */
  available_at: Timestamp | null
  /** When a pending run fails for want of a runner that can take it. */
  timeout_at: Timestamp | null
}

/** A run as handed to the runner that claimed it. */
export interface ClaimedRun extends Run {
  /** Fences reports: a runner that lost its claim and came back holds an outdated token. */
  claim_token: string
  /** The trace context that it was added in. */
  traceparent: string | null
}

/** A run to add. Ids come from outside, so that callers and tests decide them. */
export interface NewRun {
  run_id: string
  /** An existing session for `resume_session`, one to be created for `start_session`. */
  session_id: string
  type: RunType
  parameters: JsonObject
  agent_name?: string | null
  project_dir?: string | null
  parent_session_id?: string | null
  execution_mode?: ExecutionMode
  demands?: DemandsInput | null
  scope?: JsonObject | null
  priority?: number
  max_attempts?: number
  retry_delay_seconds?: number | null
  on_lost?: OnLost
  /** Not claimable before; an instant that is past keeps it from nothing. */
  available_at?: Timestamp | null
  /** Seconds a run with demands may wait for a match, once it is available. */
  timeout_seconds?: number
  idempotency?: Idempotency | null
  /** The W3C trace context of the request, for its runner. */
  traceparent?: string | null
  /** Not added where no runner that is online could take it now. */
  reject_if_unmatchable?: boolean
}

/** The same `key` with the same `fingerprint` is the same request; with another it is a mistake. */
export interface Idempotency {
  key: string
  fingerprint: string
}

/** What `add` did. */
export interface AddedRun {
  run: Run
  /** False where an idempotency key led to a run that was already there. */
  created: boolean
  /** How many runners online could take it now, counted up to `MATCHING_RUNNERS_LIMIT`. */
  matching_runners: number
}
