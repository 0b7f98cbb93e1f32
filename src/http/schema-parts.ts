/** What the schemas of requests are made of. */
import { z } from 'zod'
import type { JsonObject, JsonValue } from '../queue/run.ts'
import { parseTimestamp } from '../queue/time.ts'

export const ID_LENGTH = 200
export const NAME_LENGTH = 500
export const PATH_LENGTH = 4096
const TAGS_LIMIT = 100

/** Text that is shown in tables and compared in demands: no line breaks or other controls. */
export const line = (length: number) =>
  z
    .string()
    .min(1)
    .max(length)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'Must not contain control characters')

export const id = line(ID_LENGTH)
export const path = line(PATH_LENGTH)
export const tags = z.array(line(ID_LENGTH)).max(TAGS_LIMIT)
/** It came as JSON, so it is; to look again at each value would cost more than all the rest. */
export const json = z.unknown() as z.ZodType<JsonValue>
export const object = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'Invalid input: expected object',
)
export const optionalObject = object.nullish().meta({ type: ['object', 'null'] })

export const seconds = (max: number) => z.number().positive().max(max)
/** Numbers in a query are text, of which what is no number becomes NaN: a word for nobody's eyes. */
export const queryNumber = (min: number, max: number) =>
  z.coerce.number({ error: notANumber }).min(min).max(max)

const notANumber = ({ code }: { code?: string | undefined }) =>
  code === 'invalid_type' ? 'Invalid input: expected number' : undefined

export const instant = z
  .string()
  .max(40)
  .refine(
    (text) => parseTimestamp(text) !== null,
    'Must be an ISO time with its zone, like 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00',
  )
