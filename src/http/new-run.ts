/** From a request to the run it asks for. */
import { createHash } from 'node:crypto'
import { QueueError } from '../queue/errors.ts'
import { newRunId, newSessionId } from '../queue/ids.ts'
import type { JsonObject, NewRun, Timestamp } from '../queue/run.ts'
import { addSeconds, parseTimestamp } from '../queue/time.ts'
import { type Fault, RequestError, ValidationError } from './errors.ts'
import { type AddRunBody, DELAY_SECONDS_MAX } from './schemas.ts'

interface Options {
  noMatchTimeoutSeconds: number
  idempotencyKey?: string | undefined
  /** The trace context that the run is added in. */
  traceparent?: string | null
  /** Where in the request the run stands. */
  place?: Fault['loc']
}

/** Each draw of two ids is taken once in many millions. */
const DRAWS_LIMIT = 5

/**
 * Ids are short, and the contract says how short. Where one that this service drew is taken, whoever
 * sent the request has no part in it: others are drawn.
 * @param add draws ids, and adds with them
 */
export async function withIdsDrawn<T>(bodies: AddRunBody[], add: () => Promise<T>): Promise<T> {
  for (let draws = 1; ; draws += 1) {
    try {
      return await add()
    } catch (error) {
      if (draws === DRAWS_LIMIT || !isDrawnIdTaken(error, bodies)) throw error
    }
  }
}

function isDrawnIdTaken(error: unknown, bodies: AddRunBody[]): boolean {
  if (!(error instanceof QueueError)) return false
  const { index = 0 } = error.facts
  const isDrawn = bodies[Number(index)]?.session_id === undefined
  return error.code === 'run_exists' || (error.code === 'session_exists' && isDrawn)
}

/** @throws RequestError, ValidationError */
export function newRun(body: AddRunBody, now: Timestamp, options: Options): NewRun {
  const { place = ['body'] } = options
  const session_id = body.session_id ?? (body.type === 'start_session' ? newSessionId() : null)
  if (session_id === null) {
    throw new RequestError(400, 'session_id_required', 'session_id is required for resume_session')
  }
  const key = options.idempotencyKey ?? body.idempotency_key
  return {
    run_id: newRunId(),
    session_id,
    type: body.type,
    parameters: parameters(body, place),
    agent_name: body.agent_name ?? null,
    project_dir: body.project_dir ?? null,
    parent_session_id: body.parent_session_id ?? null,
    execution_mode: body.execution_mode ?? 'sync',
    demands: body.additional_demands ?? null,
    scope: body.scope ?? null,
    priority: body.priority ?? 0,
    max_attempts: body.max_attempts ?? 1,
    retry_delay_seconds: body.retry_delay_seconds ?? null,
    on_lost: body.on_lost ?? 'fail',
    available_at: availableAt(body, now, place),
    timeout_seconds: body.timeout_seconds ?? options.noMatchTimeoutSeconds,
    reject_if_unmatchable: body.reject_if_unmatchable ?? false,
    traceparent: options.traceparent ?? null,
    idempotency: key ? { key, fingerprint: fingerprint(body) } : null,
  }
}

function availableAt(
  { available_at, delay_seconds }: AddRunBody,
  now: Timestamp,
  place: Fault['loc'],
): Timestamp | null {
  if (delay_seconds) return addSeconds(now, delay_seconds)
  const instant = available_at ? parseTimestamp(available_at) : null
  if (instant === null || instant <= addSeconds(now, DELAY_SECONDS_MAX)) return instant
  const msg = `Must be at most ${DELAY_SECONDS_MAX / 86_400} days ahead`
  throw new ValidationError([{ type: 'too_big', loc: [...place, 'available_at'], msg }])
}

function parameters(
  { parameters, prompt, agent_name }: AddRunBody,
  place: Fault['loc'],
): JsonObject {
  if (!parameters && typeof prompt !== 'string') {
    throw new ValidationError([
      { type: 'missing', loc: [...place, 'parameters'], msg: 'parameters or prompt is required' },
    ])
  }
  const given: JsonObject = { ...(typeof prompt === 'string' ? { prompt } : {}), ...parameters }
  const fault = promptFault(given['prompt'])
  if (!fault) return given
  const message = "Parameters do not match agent's parameters_schema"
  throw new RequestError(400, 'parameter_validation_failed', `${message}: ${fault.message}`, {
    error: 'parameter_validation_failed',
    message,
    agent_name: agent_name ?? '(no agent)',
    validation_errors: [{ path: '$.prompt', ...fault }],
    parameters_schema: PARAMETERS_SCHEMA,
  })
}

const PARAMETERS_SCHEMA = {
  type: 'object',
  required: ['prompt'],
  properties: { prompt: { type: 'string', minLength: 1 } },
}

function promptFault(prompt: unknown): { message: string; schema_path: string } | null {
  if (prompt === undefined) {
    return { message: "'prompt' is a required property", schema_path: 'required' }
  }
  if (typeof prompt !== 'string') {
    return {
      message: `${JSON.stringify(prompt).slice(0, 100)} is not of type 'string'`,
      schema_path: 'properties/prompt/type',
    }
  }
  if (prompt === '') {
    return { message: "'' should be non-empty", schema_path: 'properties/prompt/minLength' }
  }
  return null
}

/** Equal for equal requests, whatever the order of their members. */
function fingerprint({ idempotency_key: _, ...body }: AddRunBody): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted)
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).filter(([, member]) => member !== undefined)
    entries.sort(([a], [b]) => (a < b ? -1 : 1))
    return entries.map(([key, member]) => [key, sorted(member)])
  }
  return createHash('sha256')
    .update(JSON.stringify(sorted(body)))
    .digest('hex')
}
