/**
 * What a field means wherever it stands, as one word means the same in SQL, JSON and pages. Where it
 * means more than that in some place (a default, a bound), its schema says so there.
 */
const GLOSSARY: Readonly<Record<string, string>> = {
  // Runs
  run_id: 'The run: `run_` and 12 hex digits.',
  run: 'The run that the runner has now.',
  runs: 'The runs.',
  type: '`start_session` begins a session of its own, `resume_session` goes on with one.',
  parameters: 'What the run is given; its member `prompt` is what most executors read.',
  prompt: 'The text that the run is about: the `prompt` member of `parameters`.',
  agent_name: 'Which agent is to do it, for the executor; this service makes nothing of it.',
  scope: 'What the run may touch, for the executor. A child inherits it from its parent.',
  project_dir: 'The directory that the work is about, on the runner’s machine.',
  parent_session_id: 'The session whose child this is; null: nobody’s.',
  execution_mode:
    'How its parent hears of its end: `sync` and `async_poll` ask for it; for `async_callback` the parent gets a run that tells.',
  demands: 'What a runner must have to take it; null: any may.',
  priority: 'Higher goes first; equal ones go oldest first.',
  status: 'How it stands.',
  error: 'Why it failed; null where it did not.',
  result: 'What came of it.',
  text: 'For people.',
  data: 'For programs: any JSON.',
  max_attempts: 'How often it is tried at most, the first time included.',
  retry_delay_seconds:
    'Seconds from a failed attempt to the second one, doubled for each after it; null: at once.',
  created_at: 'When it was added.',
  claimed_at: 'When a runner took it last.',
  started_at: 'When its runner reported that it began.',
  completed_at: 'When it ended, however it did.',
  available_at: 'Until when it is kept from being claimed; null: it is not.',
  timeout_at: 'When it fails for want of a runner that can take it; null: never.',
  claim_token: 'Names this claim: sent with each report, it fences off whoever lost the run.',
  resolved_agent_blueprint: 'Always null; runners of the newer generation look for it.',

  // Its history
  event_id: 'In the order of what happened; opaque, with gaps.',
  at: 'When it happened.',
  to_status: 'What it was from then on.',
  attempt: 'Of which attempt it is told, from 1; 0 before the first claim.',

  // Runners, and what they offer
  runner_id: 'The runner: `lnch_` and 12 hex digits, the same when it is started again.',
  runners: 'The runners.',
  hostname: 'The machine.',
  executor_profile: 'By which a runner says how it executes, as its people name it.',
  executor_type: 'What kind of executor it is; runners of the older generation have only this.',
  executor: 'How it executes: `type`, `command` and what else its executor wants.',
  tags: 'Words that say what it can do; a run is taken where all that it demands are there.',
  require_matching_tags: 'It takes only runs that demand at least one of its tags.',
  registered_at: 'When it registered first.',
  last_heartbeat: 'When it was heard of last.',
  seconds_since_heartbeat: 'How long ago that was, in seconds.',
  deregistered_at: 'When somebody asked for its removal; null: nobody did.',
  deregistered: 'The runner was removed and should leave.',
  state:
    '`online`; `stale`: no heartbeat for RUNNER_STALE_THRESHOLD; `deregistered`: it gets no more.',
  poll_endpoint: 'Where it polls for work.',
  poll_timeout_seconds: 'How long a poll waits, in seconds.',
  heartbeat_interval_seconds: 'How often it should be heard of, in seconds.',
  stop_runs: 'Runs that it is to stop.',
  stop_sessions: 'Sessions that it is to stop.',
  initiated_by: '`self`: the runner itself; `external`: somebody else.',

  // Explanations
  count: 'How many, up to a bound.',
  demand: 'Which of the demands.',
  met: 'The runner offers it.',
  conditions: 'Each demand against the runner.',
  holds: 'The runs that it holds, at most 5.',
  holds_left_out: 'How many more it holds.',
  since: 'Since when; null: that is not known.',
  runners_left_out: 'How many more were looked at, and are not named.',
  unmet_left_out: 'How many more demands it does not meet.',

  // Sessions
  session_id: 'The session: `ses_` and 12 hex digits, or as whoever added it named it.',
  session: 'The session.',
  sessions: 'The sessions.',
  session_status: 'What the session is now.',
  last_resumed_at: 'When it was gone on with last, as its executor tells.',
  executor_session_id: 'How its executor names it; null until it is bound.',
  affinity: 'Where it lives.',
  events: 'The events, oldest first.',
  id: 'In the order in which they were told.',
  event_type: 'What happened, in the executor’s words: `message`, `tool`, `result`, …',
  timestamp: 'When, as whoever tells it says.',
  tool_name: 'The tool that was used.',
  tool_input: 'What it was given: any JSON.',
  tool_output: 'What it gave back: any JSON.',
  exit_code: 'Of the executor, when it ended.',
  reason: 'Why it ended.',
  role: 'Who speaks: `user`, `assistant`, …',
  content: 'What is said: any JSON.',
  result_text: 'The result, for people.',
  result_data: 'The result, for programs: any JSON.',
  deleted: 'How much went with it.',
  events_count: 'Events of the session.',
  runs_count: 'Runs of the session.',

  // Everywhere
  ok: 'Always true: what went wrong is another status.',
  message: 'A sentence for people.',
  code: 'A stable word for programs.',
  openapi: 'The version of OpenAPI.',
  name: 'The name that was asked for.',
  description: 'Always empty.',
  limit: 'How many at most.',
  cursor: 'The `next_cursor` of the page before; absent: from the newest on.',
  last_event_id: 'The same as the header Last-Event-ID, for those who can set none.',
  'Last-Event-ID': 'The `id` of the last event that was heard: what came after it is told first.',
}

interface Node {
  properties?: Record<string, { description?: string }>
  parameters?: { name: string; description?: string; schema?: { description?: string } }[]
}

/** Fills in what its schema does not say; examples and all else stay as they are. */
export function explainFields(document: object): void {
  const { properties, parameters } = document as Node
  for (const [name, field] of Object.entries(properties ?? {})) {
    const words = GLOSSARY[name]
    if (words !== undefined) field.description ??= words
  }
  for (const parameter of Array.isArray(parameters) ? parameters : []) {
    const words = parameter.schema?.description ?? GLOSSARY[parameter.name]
    if (words !== undefined) parameter.description ??= words
  }
  for (const [key, member] of Object.entries(document)) {
    if (key !== 'example' && typeof member === 'object' && member !== null) explainFields(member)
  }
}
