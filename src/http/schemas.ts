/** What requests may hold. Unknown fields are dropped; optional ones may be null. */
import { z } from 'zod'
import { EXECUTION_MODES, ON_LOST, RUN_STATUSES, RUN_TYPES } from '../queue/run.ts'
import { ADD_LIMIT, CLAIM_LIMIT, LIST_LIMIT, RETRY_DELAY_SECONDS_MAX } from '../queue/run-queue.ts'
import {
  ID_LENGTH,
  id,
  instant,
  json,
  line,
  NAME_LENGTH,
  object,
  optionalObject,
  PATH_LENGTH,
  path,
  queryNumber,
  seconds,
  tags,
} from './schema-parts.ts'

const TIMEOUT_SECONDS_MAX = 365 * 24 * 3600
/** How far ahead a run may be added. */
export const DELAY_SECONDS_MAX = 365 * 24 * 3600
/** Held a little below the 60 s at which proxies cut. */
export const WAIT_SECONDS_MAX = 55
/** What is kept of an error report: its end, which says most. */
const ERROR_LENGTH = 64 * 1024
/** Where many transactions are under way, each is named in the id of an event. */
const EVENT_ID_LENGTH = 10_000

/** An empty demand demands nothing: existing clients send it. */
const demanded = (length: number) => z.union([z.literal(''), line(length)]).nullish()

const demands = z.object({
  hostname: demanded(NAME_LENGTH).describe('The runner’s must be the same; empty demands nothing.'),
  project_dir: demanded(PATH_LENGTH).describe('The runner’s must be the same.'),
  executor_type: demanded(NAME_LENGTH).describe('The runner’s must be the same.'),
  executor_profile: demanded(NAME_LENGTH).describe('The runner’s must be the same.'),
  tags: tags.nullish().describe('The runner must have all of them.'),
})

const addRunFields = z.object({
  type: z
    .enum(RUN_TYPES)
    .describe('`start_session` makes a session, `resume_session` needs one that is there.'),
  parameters: optionalObject.describe(
    'What the run is given. Its `prompt` must be text that is not empty. Needed, unless there is `prompt`.',
  ),
  prompt: z.string().nullish().describe('Short for `parameters` with nothing but a `prompt`.'),
  session_id: id
    .nullish()
    .describe('The session to resume, or the name of the new one; default: a new id.'),
  agent_name: line(NAME_LENGTH)
    .nullish()
    .describe('Which agent is to do it, for the executor. A resume takes its session’s.'),
  project_dir: path
    .nullish()
    .describe('The directory that the work is about. A resume takes its session’s.'),
  parent_session_id: id.nullish().describe('The session whose child this is. It must be there.'),
  execution_mode: z
    .enum(EXECUTION_MODES)
    .nullish()
    .describe(
      'Default `sync`. With `async_callback` the parent session gets a run that tells how this one ended.',
    ),
  additional_demands: demands
    .nullish()
    .describe('What a runner must have to take the run. All are hard; none: any runner may.'),
  scope: optionalObject.describe(
    'What the run may touch, for the executor. It is added to what the parent’s has, own keys win.',
  ),
  priority: z
    .int()
    .min(-1_000_000)
    .max(1_000_000)
    .nullish()
    .describe('Default 0. Higher goes first; equal ones go oldest first.'),
  max_attempts: z
    .int()
    .min(1)
    .max(100)
    .nullish()
    .describe('Default 1: a failed run is not tried again.'),
  retry_delay_seconds: z
    .number()
    .min(0)
    .max(RETRY_DELAY_SECONDS_MAX)
    .nullish()
    .describe(
      'Seconds from a failed attempt to the second one; doubled for each after it, a day at most. Default: at once.',
    ),
  on_lost: z
    .enum(ON_LOST)
    .nullish()
    .describe(
      'What happens when its runner is lost at work. Default `fail`; `requeue` tries again, with `max_attempts` of at least 2.',
    ),
  available_at: instant
    .nullish()
    .describe('It is not claimed before: an ISO time with its zone. Default: at once.'),
  delay_seconds: z
    .number()
    .min(0)
    .max(DELAY_SECONDS_MAX)
    .nullish()
    .describe('The same as seconds from now, instead of `available_at`.'),
  timeout_seconds: seconds(TIMEOUT_SECONDS_MAX)
    .nullish()
    .describe(
      'Seconds that a run with demands waits for a runner, and then fails. Default RUN_NO_MATCH_TIMEOUT (300).',
    ),
  idempotency_key: line(ID_LENGTH)
    .nullish()
    .describe(
      'With the same key and body, the first run is answered again, as long as it is kept.',
    ),
  reject_if_unmatchable: z
    .boolean()
    .nullish()
    .describe('Default false. True: where no runner online could take it, it is not added.'),
})

export const idempotencyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('The same as `idempotency_key`.'),
})

export const addRunBody = addRunFields
  .refine(({ on_lost, max_attempts }) => on_lost !== 'requeue' || (max_attempts ?? 1) >= 2, {
    path: ['on_lost'],
    error: 'requeue needs max_attempts of at least 2: it takes another attempt',
  })
  .refine(({ available_at, delay_seconds }) => available_at == null || delay_seconds == null, {
    path: ['available_at'],
    error: 'Give available_at or delay_seconds, not both',
  })
export type AddRunBody = z.output<typeof addRunBody>

export const addRunsBody = z.object({
  runs: z.array(addRunBody).min(1).max(ADD_LIMIT).describe('Added in this order, all or none.'),
})

export const listRunsQuery = z.object({
  status: z
    .string()
    .max(1000)
    .optional()
    .describe('Only these, several with commas between; a word that is no status matches nothing.'),
  session_id: z.string().max(ID_LENGTH).optional().describe('Only runs of this session.'),
  runner_id: z.string().max(ID_LENGTH).optional().describe('Only runs of this runner.'),
  limit: queryNumber(1, LIST_LIMIT).int().default(100),
  cursor: z.string().max(200).optional(),
})

export const runEventsQuery = z.object({
  limit: queryNumber(1, LIST_LIMIT).int().default(100),
  cursor: z
    .string()
    .max(200)
    .optional()
    .describe('The `next_cursor` of the page before; absent: from the oldest on.'),
})

const statuses = z
  .string()
  .max(1000)
  .transform((text) => text.split(',').map((word) => word.trim()))
  .pipe(z.array(z.enum(RUN_STATUSES)))

export const eventsQuery = z.object({
  run_id: z.string().max(ID_LENGTH).optional().describe('Only of this run.'),
  session_id: z.string().max(ID_LENGTH).optional().describe('Only of runs of this session.'),
  status: statuses
    .optional()
    .describe('Only changes to these statuses, several with commas between.'),
  last_event_id: z.string().max(EVENT_ID_LENGTH).optional(),
})

export const lastEventIdHeader = z.object({
  'Last-Event-ID': z.string().max(EVENT_ID_LENGTH).optional(),
})

export const sessionStreamQuery = z.object({
  session_id: z.string().max(ID_LENGTH).optional().describe('Only of this session.'),
  include_init: z
    .enum(['true', 'false'])
    .default('true')
    .describe('Whether it begins with `init`, which holds the sessions that there are.'),
  last_event_id: z.string().max(EVENT_ID_LENGTH).optional(),
})

export const getRunQuery = z.object({
  wait: queryNumber(0, 86_400)
    .default(0)
    .describe(
      `Seconds to wait for its end; more than ${WAIT_SECONDS_MAX} are cut to that, and the caller asks again.`,
    ),
})

export const listSessionsQuery = z.object({
  // Existing clients know no cursor and want them all.
  limit: queryNumber(1, LIST_LIMIT).int().default(LIST_LIMIT),
  cursor: z.string().max(200).optional(),
})

export const registerBody = z
  .object({
    hostname: line(NAME_LENGTH),
    project_dir: path,
    executor_profile: line(NAME_LENGTH).nullish(),
    executor_type: line(NAME_LENGTH).nullish(),
    executor: optionalObject,
    tags: tags.nullish().describe('What it can do. Default: those that it had, or none.'),
    require_matching_tags: z
      .boolean()
      .nullish()
      .describe('Default false. True: it takes only runs that demand at least one of its tags.'),
    agents: z
      .array(object.meta({ type: 'object' }))
      .max(1000)
      .nullish()
      .describe('Kept as it is; this service makes nothing of it.'),
  })
  .refine(({ executor_profile, executor_type }) => executor_profile || executor_type, {
    path: ['executor_profile'],
    error: 'executor_profile or executor_type is required',
  })

export const pollQuery = z.object({ runner_id: z.string().min(1).max(ID_LENGTH) })

export const claimBody = z.object({
  runner_id: id,
  limit: z
    .int()
    .min(0)
    .max(CLAIM_LIMIT)
    .nullish()
    .describe(
      'How many runs at most. Default 1; 0 waits for stops only, when all slots are taken.',
    ),
  wait_seconds: z
    .number()
    .min(0)
    .max(86_400)
    .nullish()
    .describe(
      `Seconds to wait for something. Default 0; more than ${WAIT_SECONDS_MAX} are cut to that.`,
    ),
  claim_key: line(ID_LENGTH)
    .nullish()
    .describe('Names this claim: repeated with the same key, it returns the same runs.'),
})

export const runnerBody = z.object({ runner_id: id })

export const reportBody = z.object({
  runner_id: id,
  claim_token: z.string().max(ID_LENGTH).nullish(),
})

export const completedBody = reportBody.extend({
  status: z.string().nullish().describe('Of no effect; older runners send it.'),
  session_status: z
    .enum(['idle', 'finished'])
    .nullish()
    .describe('What the session is then. Default `finished`; `idle`: its executor waits for more.'),
  result: z
    .object({ text: z.string().nullish(), data: json.nullish() })
    .nullish()
    .describe('What came of it, for whoever added it.'),
})

export const failedBody = reportBody.extend({
  // The cut may leave the second half of a surrogate pair, which cannot be stored.
  error: z
    .string()
    .transform((error) => error.slice(-ERROR_LENGTH).replace(/^[\udc00-\udfff]/, ''))
    .describe(`What went wrong; of more than ${ERROR_LENGTH} characters the end is kept.`),
})

export const stoppedBody = reportBody.extend({
  signal: z.string().nullish().describe('Which signal ended it, such as `SIGTERM`.'),
})

/** The words are checked by the route, whose refusal existing runners know as a 400. */
export const sessionReportBody = z.object({
  runner_id: id,
  status: z.string().describe('`finished`, `failed` or `stopped`.'),
})

export const removeRunnerQuery = z.object({
  self: z.enum(['true', 'false']).default('false').describe('The runner signs itself off.'),
})

export const bindBody = z
  .object({
    executor_session_id: id,
    hostname: line(NAME_LENGTH),
    executor_profile: line(NAME_LENGTH).nullish(),
    executor_type: line(NAME_LENGTH).nullish(),
    project_dir: path.nullish(),
  })
  .refine(({ executor_profile, executor_type }) => executor_profile || executor_type, {
    path: ['executor_profile'],
    error: 'executor_profile or executor_type is required',
  })

export const metadataBody = z.object({
  project_dir: path.nullish(),
  agent_name: line(NAME_LENGTH).nullish(),
  last_resumed_at: line(100).nullish(),
  executor_session_id: id.nullish(),
  executor_profile: line(NAME_LENGTH).nullish(),
  executor_type: line(NAME_LENGTH).nullish(),
  hostname: line(NAME_LENGTH).nullish(),
})

export const sessionEventBody = z.object({
  event_type: line(NAME_LENGTH),
  session_id: z.string(),
  timestamp: line(100),
  tool_name: z.string().nullish(),
  tool_input: json.nullish(),
  tool_output: json.nullish(),
  error: z.string().nullish(),
  exit_code: z.int().nullish(),
  reason: z.string().nullish(),
  role: z.string().nullish(),
  content: json.nullish(),
  result_text: z.string().nullish(),
  result_data: json.nullish(),
})
