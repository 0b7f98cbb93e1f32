/** What requests may hold. Unknown fields are dropped; optional ones may be null. */
import { z } from 'zod'
import {
  EXECUTION_MODES,
  type JsonObject,
  type JsonValue,
  ON_LOST,
  RUN_STATUSES,
  RUN_TYPES,
} from '../queue/run.ts'
import { ADD_LIMIT, CLAIM_LIMIT, LIST_LIMIT, RETRY_DELAY_SECONDS_MAX } from '../queue/run-queue.ts'
import { parseTimestamp } from '../queue/time.ts'

const ID_LENGTH = 200
const NAME_LENGTH = 500
const PATH_LENGTH = 4096
const TAGS_LIMIT = 100
const TIMEOUT_SECONDS_MAX = 365 * 24 * 3600
/** How far ahead a run may be added. */
export const DELAY_SECONDS_MAX = 365 * 24 * 3600
/** Held a little below the 60 s at which proxies cut. */
export const WAIT_SECONDS_MAX = 55
/** What is kept of an error report: its end, which says most. */
const ERROR_LENGTH = 64 * 1024
/** Where many transactions are under way, each is named in the id of an event. */
const EVENT_ID_LENGTH = 10_000

/** Text that is shown in tables and compared in demands: no line breaks or other controls. */
const line = (length: number) =>
  z
    .string()
    .min(1)
    .max(length)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'Must not contain control characters')

const id = line(ID_LENGTH)
const path = line(PATH_LENGTH)
const tags = z.array(line(ID_LENGTH)).max(TAGS_LIMIT)
/** It came as JSON, so it is; to look again at each value would cost more than all the rest. */
const json = z.unknown() as z.ZodType<JsonValue>
const object = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid input: expected object',
)
const optionalObject = object.nullish().meta({ type: ['object', 'null'] })

const seconds = (max: number) => z.number().positive().max(max)
/** Numbers in a query are text. */
const queryNumber = (min: number, max: number) => z.coerce.number().min(min).max(max)

/** An empty demand demands nothing: existing clients send it. */
const demanded = (length: number) => z.union([z.literal(''), line(length)]).nullish()

const demands = z.object({
  hostname: demanded(NAME_LENGTH),
  project_dir: demanded(PATH_LENGTH),
  executor_type: demanded(NAME_LENGTH),
  executor_profile: demanded(NAME_LENGTH),
  tags: tags.nullish(),
})

const instant = z
  .string()
  .max(40)
  .refine(
    (text) => parseTimestamp(text) !== null,
    'Must be an ISO time with its zone, like 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00',
  )

const addRunFields = z.object({
  type: z.enum(RUN_TYPES),
  parameters: optionalObject,
  prompt: z.string().nullish(),
  session_id: id.nullish(),
  agent_name: line(NAME_LENGTH).nullish(),
  project_dir: path.nullish(),
  parent_session_id: id.nullish(),
  execution_mode: z.enum(EXECUTION_MODES).nullish(),
  additional_demands: demands.nullish(),
  scope: optionalObject,
  priority: z.int().min(-1_000_000).max(1_000_000).nullish(),
  max_attempts: z.int().min(1).max(100).nullish(),
  retry_delay_seconds: z.number().min(0).max(RETRY_DELAY_SECONDS_MAX).nullish(),
  on_lost: z.enum(ON_LOST).nullish(),
  available_at: instant.nullish(),
  delay_seconds: z.number().min(0).max(DELAY_SECONDS_MAX).nullish(),
  timeout_seconds: seconds(TIMEOUT_SECONDS_MAX).nullish(),
  idempotency_key: line(ID_LENGTH).nullish(),
  reject_if_unmatchable: z.boolean().nullish(),
})

export const idempotencyHeader = z.object({
  'Idempotency-Key': z.string().min(1).max(200).optional(),
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

export const addRunsBody = z.object({ runs: z.array(addRunBody).min(1).max(ADD_LIMIT) })

export const listRunsQuery = z.object({
  status: z.string().max(1000).optional(),
  session_id: z.string().max(ID_LENGTH).optional(),
  runner_id: z.string().max(ID_LENGTH).optional(),
  limit: queryNumber(1, LIST_LIMIT).int().default(100),
  cursor: z.string().max(200).optional(),
})

export const runEventsQuery = z.object({
  limit: queryNumber(1, LIST_LIMIT).int().default(100),
  cursor: z.string().max(200).optional(),
})

const statuses = z
  .string()
  .max(1000)
  .transform((text) => text.split(',').map((word) => word.trim()))
  .pipe(z.array(z.enum(RUN_STATUSES)))

export const eventsQuery = z.object({
  run_id: z.string().max(ID_LENGTH).optional(),
  session_id: z.string().max(ID_LENGTH).optional(),
  /** Several with commas between them. */
  status: statuses.optional(),
  last_event_id: z.string().max(EVENT_ID_LENGTH).optional(),
})

export const lastEventIdHeader = z.object({
  'Last-Event-ID': z.string().max(EVENT_ID_LENGTH).optional(),
})

export const sessionStreamQuery = z.object({
  session_id: z.string().max(ID_LENGTH).optional(),
  include_init: z.enum(['true', 'false']).default('true'),
  last_event_id: z.string().max(EVENT_ID_LENGTH).optional(),
})

/** Longer waits are cut to what is held; the caller asks again. */
export const getRunQuery = z.object({ wait: queryNumber(0, 86_400).default(0) })

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
    tags: tags.nullish(),
    require_matching_tags: z.boolean().nullish(),
    agents: z
      .array(object.meta({ type: 'object' }))
      .max(1000)
      .nullish(),
  })
  .refine(({ executor_profile, executor_type }) => executor_profile || executor_type, {
    path: ['executor_profile'],
    error: 'executor_profile or executor_type is required',
  })

export const pollQuery = z.object({ runner_id: z.string().min(1).max(ID_LENGTH) })

export const claimBody = z.object({
  runner_id: id,
  /** 0 waits for stops only: all slots are taken. */
  limit: z.int().min(0).max(CLAIM_LIMIT).nullish(),
  wait_seconds: z.number().min(0).max(86_400).nullish(),
  claim_key: line(ID_LENGTH).nullish(),
})

export const runnerBody = z.object({ runner_id: id })

export const reportBody = z.object({
  runner_id: id,
  claim_token: z.string().max(ID_LENGTH).nullish(),
})

export const completedBody = reportBody.extend({
  status: z.string().nullish(),
  session_status: z.enum(['idle', 'finished']).nullish(),
  result: z.object({ text: z.string().nullish(), data: json.nullish() }).nullish(),
})

export const failedBody = reportBody.extend({
  // The cut may leave the second half of a surrogate pair, which cannot be stored.
  error: z
    .string()
    .transform((error) => error.slice(-ERROR_LENGTH).replace(/^[\udc00-\udfff]/, '')),
})

export const stoppedBody = reportBody.extend({ signal: z.string().nullish() })

/** The words are checked by the route, whose refusal existing runners know as a 400. */
export const sessionReportBody = z.object({ runner_id: id, status: z.string() })

export const removeRunnerQuery = z.object({ self: z.enum(['true', 'false']).default('false') })

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
