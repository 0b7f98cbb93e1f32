/** What answers hold. `satisfies` holds these shapes and the types of the views together. */
import { z } from 'zod'
import { CAUSES } from '../../queue/cause.ts'
import { MATCHING_RUNNERS_LIMIT } from '../../queue/insight.ts'
import {
  EXECUTION_MODES,
  type JsonValue,
  ON_LOST,
  RUN_STATUSES,
  RUN_TYPES,
} from '../../queue/run.ts'
import type { RunEvent } from '../../queue/run-event.ts'
import {
  SESSION_STATUSES,
  type Session,
  type SessionEvent,
  type SessionResult,
} from '../../queue/session.ts'
import type { ClaimedRunView, RunnerView, RunView } from '../views.ts'
import * as example from './examples.ts'

export const timestamp = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time' })
/** Not `z.unknown()`, which would say that the member may be missing. */
const json = z
  .custom<JsonValue>((value) => value !== undefined)
  .meta({ type: ['object', 'array', 'string', 'number', 'boolean', 'null'] })
const object = z.record(z.string(), json)
export const text = z.string().nullable()

export const ok = z.object({ ok: z.literal(true) })
export const runStatus = z.enum(RUN_STATUSES)
export const sessionStatus = z.enum(SESSION_STATUSES)
export const nextCursor = text.meta({
  description: 'Where the next page begins: give it as `cursor`. Null on the last page.',
})

export const runEvent = z
  .object({
    event_id: z.int(),
    run_id: z.string(),
    at: timestamp,
    from_status: runStatus.nullable().meta({ description: 'Null: it was added.' }),
    to_status: runStatus,
    cause: z.enum(CAUSES).nullable().meta({ description: 'Null: by plain SQL.' }),
    changed_by: text.meta({
      description: '`client`, `client:NAME` by its token, `runner`, `service`; null by plain SQL.',
    }),
    runner_id: text,
    attempt: z.int(),
    detail: text.meta({ description: 'The beginning of the error that an attempt ended with.' }),
  })
  .meta({ id: 'RunEvent', example: example.runEvent }) satisfies z.ZodType<RunEvent>

export const demands = z
  .object({
    hostname: z.string().optional(),
    project_dir: z.string().optional(),
    executor_type: z.string().optional(),
    executor_profile: z.string().optional(),
    tags: z.array(z.string()),
  })
  .meta({ id: 'Demands', description: 'What a runner must have to take the run.' })

const runFields = {
  run_id: z.string(),
  type: z.enum(RUN_TYPES),
  session_id: z.string(),
  agent_name: text,
  prompt: text.meta({ description: 'The `prompt` member of `parameters`.' }),
  parameters: object,
  project_dir: text,
  parent_session_id: text,
  execution_mode: z.enum(EXECUTION_MODES),
  demands: demands.nullable(),
  priority: z.int().meta({ description: 'Higher goes first; equal ones go oldest first.' }),
  status: runStatus,
  runner_id: text,
  error: text,
  result: z
    .object({ text, data: json })
    .nullable()
    .meta({ description: 'What its runner handed back: text for people, data for programs.' }),
  attempt: z.int().meta({ description: 'From 1 with the first claim.' }),
  max_attempts: z.int(),
  retry_delay_seconds: z.number().nullable(),
  on_lost: z.enum(ON_LOST).meta({ description: 'What the loss of its runner does to it.' }),
  created_at: timestamp,
  claimed_at: timestamp.nullable(),
  started_at: timestamp.nullable(),
  completed_at: timestamp.nullable(),
  available_at: timestamp
    .nullable()
    .meta({ description: 'Until when it is kept from being claimed.' }),
  timeout_at: timestamp
    .nullable()
    .meta({ description: 'When it fails for want of a runner that can take it.' }),
}

export const run = z
  .object(runFields)
  .meta({ id: 'Run', example: example.run }) satisfies z.ZodType<RunView>

export const claimedRun = z
  .object({
    ...runFields,
    scope: object.nullable(),
    resolved_agent_blueprint: z.null(),
    claim_token: z.string().meta({ description: 'Send it with each report on the run.' }),
    traceparent: z
      .string()
      .nullable()
      .meta({ description: 'The trace context that it was added in, for what it does.' }),
  })
  .meta({ id: 'ClaimedRun', example: example.claimedRun }) satisfies z.ZodType<ClaimedRunView>

export const addedRun = z
  .object({
    run_id: z.string(),
    session_id: z.string(),
    status: runStatus,
    matching_runners: z.int().meta({
      description: `How many runners online could take it now, counted up to ${MATCHING_RUNNERS_LIMIT}.`,
    }),
  })
  .meta({ id: 'AddedRun', example: example.addedRun })

export const runner = z
  .object({
    runner_id: z.string(),
    registered_at: timestamp,
    last_heartbeat: timestamp,
    hostname: z.string(),
    project_dir: z.string(),
    executor_type: text,
    executor_profile: text,
    executor: object.nullable(),
    tags: z.array(z.string()),
    require_matching_tags: z.boolean(),
    status: z.enum(['online', 'stale']),
    seconds_since_heartbeat: z.number(),
  })
  .meta({ id: 'Runner', example: example.runner }) satisfies z.ZodType<RunnerView>

export const session = z
  .object({
    session_id: z.string(),
    status: sessionStatus,
    created_at: timestamp,
    project_dir: text,
    agent_name: text.meta({ description: 'Which agent serves it.' }),
    last_resumed_at: text,
    parent_session_id: text,
    executor_session_id: text,
    executor_profile: text,
    hostname: text,
  })
  .meta({ id: 'Session', example: example.session }) satisfies z.ZodType<Session>

export const sessionEvent = z
  .object({
    id: z.int(),
    session_id: z.string(),
    event_type: z.string(),
    timestamp: z.string(),
    tool_name: text,
    tool_input: json,
    tool_output: json,
    error: text,
    exit_code: z.int().nullable(),
    reason: text,
    role: text,
    content: json,
    result_text: text,
    result_data: json,
  })
  .meta({ id: 'SessionEvent', example: example.sessionEvent }) satisfies z.ZodType<SessionEvent>

export const sessionResult = z.object({
  result_text: text,
  result_data: json,
  result: z.string().meta({ description: 'What clients of the older generation read.' }),
}) satisfies z.ZodType<SessionResult>

const fault = z.object({
  type: z.string().meta({ description: 'What kind of fault it is.' }),
  loc: z.array(z.union([z.string(), z.int()])).meta({
    description: 'Where: `body`, `query` or `path`, then the field.',
  }),
  msg: z.string().meta({ description: 'What is wrong there.' }),
})

/** Named by who describes it: with an id Zod would refer to it. */
export const refusal = z
  .object({
    detail: z.union([z.string(), z.array(fault), z.record(z.string(), z.unknown())]).meta({
      description: 'As existing clients know it: a sentence, the faults of a 422, or an object.',
    }),
    code: z.string().meta({ description: 'A stable word for programs.' }),
    message: z.string().meta({ description: 'A sentence for people.' }),
  })
  .meta({ example: example.refusal })
