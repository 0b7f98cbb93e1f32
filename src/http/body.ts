/** Request bodies: bytes → JSON → checked value. Nothing that is refused here reaches the queue. */
import { isUtf8 } from 'node:buffer'
import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { z } from 'zod'
import { type Fault, RequestError, ValidationError } from './errors.ts'

const BODY_LIMIT_BYTES = 10 * 1024 * 1024
/** SQLite's JSON functions take 1 000; nobody means more than a few. */
const DEPTH_LIMIT = 100
/** As many as a person reads. */
const FAULTS_LIMIT = 20

const tooLarge = () =>
  new RequestError(
    413,
    'body_too_large',
    `The request body is larger than ${BODY_LIMIT_BYTES} bytes`,
  )

const limitChunkedBody = bodyLimit({
  maxSize: BODY_LIMIT_BYTES,
  onError: () => {
    throw tooLarge()
  },
})

/** Bounded: Node itself holds a body to the length it states, so only one without is counted. */
async function readBytes(c: Context): Promise<Buffer> {
  const length = c.req.header('content-length')
  if (Number(length) > BODY_LIMIT_BYTES) throw tooLarge()
  try {
    if (length === undefined) await limitChunkedBody(c, async () => {})
    return Buffer.from(await c.req.arrayBuffer())
  } catch (error) {
    if (error instanceof RequestError) throw error
    // The client went away: nobody hears this, and it is no error of ours.
    throw new RequestError(400, 'body_broken_off', 'The request body broke off')
  }
}

/**
 * The JSON body, checked.
 * `lenient` takes text as it comes where refusing it would lose a report: NUL and lone surrogates
 * are replaced instead.
 */
export async function readBody<T extends z.ZodType>(
  c: Context,
  schema: T,
  options: { lenient?: boolean } = {},
): Promise<z.output<T>> {
  const type = c.req.header('content-type')
  if (type !== undefined && !/^application\/([\w.-]+\+)?json\b/i.test(type)) {
    throw new RequestError(
      415,
      'unsupported_media_type',
      `Content-Type must be application/json, not ${type.slice(0, 100)}`,
    )
  }
  const text = bodyText(await readBytes(c))
  const body = parseJson(text)
  if (isPlain(text)) return check(schema, body, 'body')
  return check(schema, options.lenient ? cleaned(body) : checked(body, 'body'), 'body')
}

export function readQuery<T extends z.ZodType>(c: Context, schema: T): z.output<T> {
  return check(schema, checked(c.req.query(), 'query'), 'query')
}

/** By the names in which the schema spells them, which is how an error names them. */
export function readHeaders<T extends z.ZodObject>(c: Context, schema: T): z.output<T> {
  const names = Object.keys(schema.shape)
  return check(
    schema,
    Object.fromEntries(names.map((name) => [name, c.req.header(name)])),
    'header',
  )
}

/** A path parameter. */
export function pathId(c: Context, name: string): string {
  const id = c.req.param(name) ?? ''
  const fault = textFault(id)
  if (fault) throw new ValidationError([{ ...fault, loc: ['path', name] }])
  return id
}

type Source = 'body' | 'query' | 'header'

function bodyText(bytes: Buffer): string {
  const loc = ['body']
  if (bytes.length === 0) {
    throw new ValidationError([{ type: 'missing', loc, msg: 'Field required' }])
  }
  if (!isUtf8(bytes)) {
    throw new ValidationError([{ type: 'json_invalid', loc, msg: 'The body is not UTF-8 text' }])
  }
  return bytes.toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : ''
    throw new ValidationError([
      { type: 'json_invalid', loc: ['body'], msg: `The body is not JSON: ${reason}` },
    ])
  }
}

/**
 * Whether the text itself shows that there is nothing to refuse or clean, as nearly all do: without
 * `\u` there is no NUL and no surrogate, without many digits or an exponent after what a number may
 * come after no number too large, without many brackets no deep nesting. (Ids in hex have such digits
 * inside.) Walking the value costs more than all other checks.
 */
const isPlain = (text: string): boolean =>
  !text.includes('\\u') &&
  !/(?:^|[:,[])\s*-?(?:\d{16}|[\d.]+[eE])/.test(text) &&
  text.split(/[[{]/, DEPTH_LIMIT + 1).length <= DEPTH_LIMIT

function check<T extends z.ZodType>(schema: T, value: unknown, source: Source): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ValidationError(
    parsed.error.issues.slice(0, FAULTS_LIMIT).map((issue): Fault => {
      const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
      const mistyped = issue.code === 'invalid_type' || issue.code === 'invalid_value'
      const missing = mistyped && isAbsent(value, path)
      return {
        type: missing ? 'missing' : issue.code,
        loc: [source, ...path],
        msg: missing ? 'Field required' : issue.message,
      }
    }),
  )
}

/** What a path leads into that is no object is there: a list that came as text, say, with commas. */
function isAbsent(value: unknown, path: (string | number)[]): boolean {
  let inner = value
  for (const part of path) {
    if (typeof inner !== 'object' || inner === null) return false
    inner = (inner as Record<string | number, unknown>)[part]
  }
  return inner === undefined
}

/**
 * Refuses what databases and other languages cannot keep: NUL, lone surrogates, numbers that lose
 * digits, nesting without end, which also bounds the recursion. A body may hold millions of values,
 * so looking at one allocates nothing.
 */
function checked(body: unknown, source: Source): unknown {
  const faults: Fault[] = []
  const path: Fault['loc'] = [source]
  const note = (fault: Omit<Fault, 'loc'> | null) => {
    if (fault && faults.length < FAULTS_LIMIT) faults.push({ ...fault, loc: [...path] })
    return fault !== null
  }
  const visit = (key: string | number, member: unknown) => {
    path.push(key)
    look(member)
    path.pop()
  }
  const look = (value: unknown) => {
    if (note(valueFault(value, path.length - 1))) return
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) visit(index, value[index])
    } else if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value)) {
        note(textFault(key))
        visit(key, (value as Record<string, unknown>)[key])
      }
    }
  }
  look(body)
  if (faults.length > 0) throw new ValidationError(faults)
  return body
}

function valueFault(value: unknown, depth: number): Omit<Fault, 'loc'> | null {
  if (typeof value === 'string') return textFault(value)
  if (typeof value === 'number') {
    const kept = Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)
    return kept ? null : { type: 'number_too_large', msg: 'Number is too large to be kept exactly' }
  }
  if (depth <= DEPTH_LIMIT) return null
  return { type: 'too_deep', msg: `Nested deeper than ${DEPTH_LIMIT} levels` }
}

function textFault(text: string): Omit<Fault, 'loc'> | null {
  if (text.includes('\0')) return { type: 'nul_character', msg: 'Must not contain NUL characters' }
  if (text.isWellFormed()) return null
  return { type: 'lone_surrogate', msg: 'Must not contain lone surrogates' }
}

/** As it comes, but for what cannot be kept. */
function cleaned(body: unknown): unknown {
  let depth = 0
  const replace = (value: unknown): unknown => {
    if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\uFFFD')
    if (typeof value !== 'object' || value === null) return value
    if (depth >= DEPTH_LIMIT) return null
    depth += 1
    const copy = Array.isArray(value)
      ? value.map(replace)
      : Object.fromEntries(
          Object.entries(value).map(([key, member]) => [replace(key), replace(member)]),
        )
    depth -= 1
    return copy
  }
  return replace(body)
}
