/** What a new run is before anything happened to it. */
import { canonicalDemands } from './demands.ts'
import type { NewRun, Run, Timestamp } from './run.ts'
import { MATCH_TIMEOUT_SECONDS } from './run-queue.ts'
import { addSeconds } from './time.ts'

export const timeoutSeconds = (run: NewRun) => run.timeout_seconds ?? MATCH_TIMEOUT_SECONDS

export function newRow(run: NewRun, now: Timestamp): Run {
  const demands = canonicalDemands(run.demands)
  const available_at = run.available_at && run.available_at > now ? run.available_at : null
  return {
    run_id: run.run_id,
    session_id: run.session_id,
    type: run.type,
    agent_name: run.agent_name ?? null,
    prompt: typeof run.parameters['prompt'] === 'string' ? run.parameters['prompt'] : null,
    parameters: run.parameters,
    scope: run.scope ?? null,
    project_dir: run.project_dir ?? null,
    parent_session_id: run.parent_session_id ?? null,
    execution_mode: run.execution_mode ?? 'sync',
    demands,
    priority: run.priority ?? 0,
    status: 'pending',
    runner_id: null,
    error: null,
    result: null,
    attempt: 0,
    max_attempts: run.max_attempts ?? 1,
    retry_delay_seconds: run.retry_delay_seconds ?? null,
    on_lost: run.on_lost ?? 'fail',
    created_at: now,
    claimed_at: null,
    started_at: null,
    completed_at: null,
    available_at,
    timeout_at: demands === null ? null : addSeconds(available_at ?? now, timeoutSeconds(run)),
  }
}

/** The session that a run resumes, as far as the run takes over from it. */
interface Resumed {
  agent_name: string | null
  project_dir: string | null
  hostname: string | null
  executor_profile: string | null
  executor_type: string | null
}

/** What a run takes over from the session that it resumes: it goes where the session is bound to. */
export function resuming(run: NewRun, session: Resumed): NewRun {
  const { hostname, executor_profile, executor_type } = session
  const bound = hostname === null ? null : { hostname, executor_profile, executor_type }
  return {
    ...run,
    agent_name: run.agent_name ?? session.agent_name,
    project_dir: run.project_dir ?? session.project_dir,
    demands: canonicalDemands(bound, run.demands),
  }
}
