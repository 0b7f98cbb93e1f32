/** What the examples of the API's description tell: one run on its way. */
const at = (time: string) => `2026-01-31T${time}.000Z`

const run_id = 'run_5d41402abc4b'
const session_id = 'ses_7d793037a076'
export const runner_id = 'lnch_8aea70269c10'
const claim_token = 'clm_0e5b3c1f9a7d4c2288aa'
const hostname = 'alpha'
const project_dir = '/project'

export const addRun = {
  type: 'start_session',
  prompt: 'train the model',
  additional_demands: { tags: ['gpu'] },
}
export const addedRun = { run_id, session_id, status: 'pending', matching_runners: 1 }
export const stopping = { ok: true, run_id, session_id, status: 'stopping' }

export const run = {
  ...{ run_id, type: 'start_session', session_id, agent_name: null },
  ...{ prompt: 'train the model', parameters: { prompt: 'train the model' }, project_dir: null },
  ...{ parent_session_id: null, execution_mode: 'sync', demands: { tags: ['gpu'] }, priority: 0 },
  ...{ status: 'completed', runner_id, error: null, result: { text: 'done', data: { loss: 0.1 } } },
  ...{ attempt: 1, max_attempts: 1, retry_delay_seconds: null, on_lost: 'fail' },
  ...{ created_at: at('12:00:00'), claimed_at: at('12:00:01'), started_at: at('12:00:02') },
  ...{ completed_at: at('12:10:00'), available_at: null, timeout_at: at('12:05:00') },
}

export const runEvent = {
  ...{ event_id: 42, run_id, at: at('12:00:01'), from_status: 'pending', to_status: 'claimed' },
  ...{ cause: 'claimed', changed_by: 'runner', runner_id, attempt: 1, detail: null },
}

export const claimedRun = {
  ...run,
  ...{ status: 'claimed', result: null, started_at: null, completed_at: null },
  ...{ scope: null, resolved_agent_blueprint: null, claim_token, traceparent: null },
}

export const registration = {
  ...{ hostname, project_dir, executor_profile: 'coding', tags: ['gpu'] },
  executor: { type: 'command', command: 'train' },
}

export const runner = {
  ...{ runner_id, registered_at: at('11:00:00'), last_heartbeat: at('12:00:00') },
  ...{ hostname, project_dir, executor_type: 'command', executor_profile: 'coding' },
  ...{ executor: registration.executor, tags: ['gpu'], require_matching_tags: false },
  ...{ status: 'online', seconds_since_heartbeat: 12.5 },
}

const unmetCondition = { demand: 'tags', wanted: ['gpu'], offered: ['eu'], met: false }

const runnerMatch = {
  ...{ runner_id, hostname, state: 'online', last_heartbeat: at('12:00:00') },
  ...{ deregistered_at: null, satisfies: false, conditions: [unmetCondition] },
  ...{ holds: [], holds_left_out: 0, next_run_id: null, summary: 'tag gpu is missing' },
}

export const runExplanation = {
  ...{ run_id, status: 'pending', summary: 'Pending: 2 claimable runs come before it.' },
  reasons: [
    'No runner online could take it: no registered runner has tag gpu.',
    `Nearest is runner ${runner_id} on ${hostname} (online): tag gpu is missing.`,
  ],
  outlook: 'It fails at 12:05:00 UTC unless a runner claims it before.',
  ...{ demands: { tags: ['gpu'] }, priority: 0, runner_id: null, available_at: null },
  ...{ timeout_at: at('12:05:00'), ahead: { count: 2, at_least: false } },
  ...{ matching_runners: { count: 0, at_least: false }, runners: [runnerMatch] },
  runners_left_out: { count: 0, at_least: false },
}

export const runnerExplanation = {
  ...{ runner_id, hostname, state: 'online' },
  summary:
    'Online, but it can take nothing of what is claimable: 1 different demand, none of which it meets.',
  reasons: [`Nearest is ${run_id}, which demands tag gpu: tag gpu is missing.`],
  ...{ outlook: null, tags: ['eu'], require_matching_tags: false },
  ...{ last_heartbeat: at('12:00:00'), deregistered_at: null, holds: [], holds_left_out: 0 },
  ...{ next_run_id: null, next_available_at: null },
  unmet: [
    {
      ...{ demands: { tags: ['gpu'] }, run_id, priority: 0 },
      ...{ conditions: [unmetCondition], summary: 'tag gpu is missing' },
    },
  ],
  unmet_left_out: { count: 0, at_least: false },
}

export const session = {
  ...{ session_id, status: 'finished', created_at: at('12:00:00'), project_dir, agent_name: null },
  ...{ last_resumed_at: null, parent_session_id: null, executor_session_id: 'b1946ac9' },
  ...{ executor_profile: 'coding', hostname },
}

export const binding = {
  ...{ executor_session_id: 'b1946ac9', hostname, executor_profile: 'coding', project_dir },
}

export const newSessionEvent = {
  ...{ event_type: 'message', session_id, timestamp: at('12:03:00'), role: 'assistant' },
  content: [{ type: 'text', text: 'Half of it is done.' }],
}

export const sessionEvent = {
  ...{ id: 17, tool_name: null, tool_input: null, tool_output: null, error: null },
  ...{ exit_code: null, reason: null, result_text: null, result_data: null },
  ...newSessionEvent,
}

export const report = { runner_id, claim_token }

export const refusal = { detail: 'Run not found', code: 'run_not_found', message: 'Run not found' }
