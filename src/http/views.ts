/** Rows as the API shows them: every documented key is always there, null when unset. */
import type { ClaimedRun, Run, Timestamp } from '../queue/run.ts'
import type { Runner } from '../queue/runner.ts'
import type { Session } from '../queue/session.ts'
import { secondsBetween } from '../queue/time.ts'

export type RunView = Omit<Run, 'scope'>

export function runView(run: Run): RunView {
  return {
    run_id: run.run_id,
    type: run.type,
    session_id: run.session_id,
    agent_name: run.agent_name,
    prompt: run.prompt,
    parameters: run.parameters,
    project_dir: run.project_dir,
    parent_session_id: run.parent_session_id,
    execution_mode: run.execution_mode,
    demands: run.demands,
    priority: run.priority,
    status: run.status,
    runner_id: run.runner_id,
    error: run.error,
    result: run.result,
    attempt: run.attempt,
    max_attempts: run.max_attempts,
    retry_delay_seconds: run.retry_delay_seconds,
    on_lost: run.on_lost,
    created_at: run.created_at,
    claimed_at: run.claimed_at,
    started_at: run.started_at,
    completed_at: run.completed_at,
    available_at: run.available_at,
    timeout_at: run.timeout_at,
  }
}

export interface ClaimedRunView extends RunView {
  scope: Run['scope']
  /** Existing runners look for it; this service does not resolve blueprints. */
  resolved_agent_blueprint: null
  claim_token: string
  /** The W3C trace context that the run was added in. */
  traceparent: string | null
}

export const claimedRunView = (run: ClaimedRun): ClaimedRunView =>
  Object.assign(runView(run), {
    scope: run.scope,
    resolved_agent_blueprint: null,
    claim_token: run.claim_token,
    traceparent: run.traceparent,
  })

export type RunnerView = Omit<Runner, 'deregistered_at'> & {
  status: 'online' | 'stale'
  seconds_since_heartbeat: number
}

export function runnerView(runner: Runner, now: Timestamp, staleSeconds: number): RunnerView {
  const seconds = Math.max(0, secondsBetween(runner.last_heartbeat, now))
  return {
    runner_id: runner.runner_id,
    registered_at: runner.registered_at,
    last_heartbeat: runner.last_heartbeat,
    hostname: runner.hostname,
    project_dir: runner.project_dir,
    executor_type: runner.executor_type,
    executor_profile: runner.executor_profile,
    executor: runner.executor,
    tags: runner.tags,
    require_matching_tags: runner.require_matching_tags,
    status: seconds < staleSeconds ? 'online' : 'stale',
    seconds_since_heartbeat: seconds,
  }
}

export function sessionView(session: Session): Session {
  return {
    session_id: session.session_id,
    status: session.status,
    created_at: session.created_at,
    project_dir: session.project_dir,
    agent_name: session.agent_name,
    last_resumed_at: session.last_resumed_at,
    parent_session_id: session.parent_session_id,
    executor_session_id: session.executor_session_id,
    executor_profile: session.executor_profile,
    hostname: session.hostname,
  }
}
