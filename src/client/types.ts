/** What calls take and give, where no other part of the project says it. */
import type { ClaimedRunView } from '../http/views.ts'
import type { DemandsInput } from '../queue/demands.ts'
import type { ExecutionMode, JsonObject, OnLost, RunStatus, RunType } from '../queue/run.ts'
import type { NewSessionEvent, SessionStatus } from '../queue/session.ts'

export interface AddRunRequest {
  type: RunType
  /** One of `parameters` and `prompt`; `prompt` is short for `{ prompt }`. */
  parameters?: JsonObject
  prompt?: string
  session_id?: string
  agent_name?: string
  project_dir?: string
  parent_session_id?: string
  execution_mode?: ExecutionMode
  additional_demands?: DemandsInput
  scope?: JsonObject
  priority?: number
  max_attempts?: number
  /** What the first retry waits; each further one waits twice as long. */
  retry_delay_seconds?: number
  /** What the loss of its runner does to it; `requeue` needs max_attempts of at least 2. */
  on_lost?: OnLost
  /** Not claimable before, an ISO time with its zone; or so many seconds from now. */
  available_at?: string
  delay_seconds?: number
  timeout_seconds?: number
  idempotency_key?: string
  /** Refused (`unmatchable`) where no runner online could take it now. */
  reject_if_unmatchable?: boolean
}

export interface AddRunAnswer {
  run_id: string
  session_id: string
  status: RunStatus
  /** How many runners online could take it now, counted up to 10. */
  matching_runners: number
}

export interface BindRequest {
  executor_session_id: string
  hostname: string
  /** One of these two. */
  executor_profile?: string
  executor_type?: string
  project_dir?: string
}

export type AddSessionEventRequest = Omit<NewSessionEvent, 'session_id'>

export interface SessionStopAnswer {
  ok: true
  session_id: string
  /** The run that was asked to stop, if one was active. */
  run_id?: string
  status: SessionStatus
  message?: string
}

/** One of these. */
export type PollAnswer =
  | { run: ClaimedRunView }
  | { stop_runs: string[]; stop_sessions: string[] }
  | { deregistered: true }

export interface RunListQuery {
  status?: string[]
  session_id?: string
  runner_id?: string
  limit?: number
  cursor?: string
}

export interface StopAnswer {
  ok: true
  run_id: string
  session_id: string
  status: string
  message?: string
}

export interface RegisterRequest {
  hostname: string
  project_dir: string
  executor_profile?: string
  executor_type?: string
  executor?: JsonObject
  tags?: string[]
  require_matching_tags?: boolean
}

export interface RegisterAnswer {
  runner_id: string
  poll_endpoint: string
  poll_timeout_seconds: number
  heartbeat_interval_seconds: number
}

export interface ClaimRequest {
  runner_id: string
  limit?: number
  wait_seconds?: number
  claim_key?: string
}

export interface ClaimAnswer {
  runs: ClaimedRunView[]
  stop_runs: string[]
  stop_sessions: string[]
  deregistered: boolean
}

/** Who reports; the token fences a runner that lost its claim and came back. */
export interface Report {
  runner_id: string
  claim_token?: string
}
