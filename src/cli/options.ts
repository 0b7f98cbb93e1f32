/** Reading what people type: every refusal says what would be allowed. */
import { InvalidArgumentError, Option } from 'commander'
import { RunqueueClient } from '../client/index.ts'
import { DEMAND_PROPERTIES, type DemandProperty } from '../queue/demands.ts'
import { type JsonObject, type JsonValue, RUN_STATUSES, type Timestamp } from '../queue/run.ts'
import { parseDuration, parseTimestamp } from '../queue/time.ts'
import type { Context } from './context.ts'

/** What every command that asks a server takes. */
export interface ServerOptions {
  url: string
  token?: string
  json?: true
}

const DEFAULT_URL = 'http://127.0.0.1:8765'

export const urlOption = (): Option =>
  new Option('--url <url>', 'where the server listens')
    .env('RUNQUEUE_URL')
    .default(DEFAULT_URL, DEFAULT_URL)
    .argParser(serverUrl)

/** Before the subcommand: the same, but what the environment says is the subcommand's to read. */
export const urlOptionOfProgram = (): Option =>
  new Option('--url <url>', `where the server listens (default: ${DEFAULT_URL}, env: RUNQUEUE_URL)`)
    // Checked here too, so that the refusal comes before anything is done.
    .argParser(serverUrl)

export const tokenOption = (): Option =>
  new Option(
    '--token <token>',
    'what lets this in; better in the environment, which others do not see',
  )
    .env('RUNQUEUE_TOKEN')
    .argParser(bearerToken)

/** What commands take that work on the database itself. */
export interface DatabaseOptions {
  database?: string
}

export const databaseOption = (): Option =>
  new Option(
    '--database <url>',
    'the file or the PostgreSQL database that holds the queue (default: file:./data/runqueue.db, env: DATABASE_URL)',
  )

export const jsonOption = (): Option =>
  new Option('--json', 'print JSON instead of text for people')

export function clientOf(context: Context, options: ServerOptions): RunqueueClient {
  return new RunqueueClient({
    url: options.url,
    token: options.token,
    fetch: context.fetch,
    retries: 0,
  })
}

/** The characters that RFC 6750 allows: a line break, say, no header could carry. */
function bearerToken(text: string): string {
  const token = text.trim()
  if (/^[\w.~+/-]+=*$/.test(token)) return token
  throw new InvalidArgumentError('It must be a token as `runqueue token create` prints it.')
}

function serverUrl(text: string): string {
  if (URL.canParse(text) && /^https?:/i.test(text)) return text
  throw new InvalidArgumentError(`It must be an address like ${DEFAULT_URL}.`)
}

/** Without the members that are undefined: a request says nothing of what was not given. */
export function defined<T extends object>(
  object: T,
): { [key in keyof T]?: Exclude<T[key], undefined> } {
  const given = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { [key in keyof T]?: Exclude<T[key], undefined> }
}

/** A parser of whole numbers within bounds. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^[+-]?\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** Three weeks: timers of JavaScript overflow a little later. */
const TIMER_SECONDS_MAX = 1_814_400

/** A parser of seconds, fractions allowed. */
export function seconds(min: number, max = TIMER_SECONDS_MAX): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d*\.?\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be seconds, from ${min} to ${max}.`)
  }
}

/** A parser of instants, to the form that the server stores. */
export function instant(text: string): Timestamp {
  const parsed = parseTimestamp(text)
  if (parsed !== null) return parsed
  throw new InvalidArgumentError(
    'It must be an ISO time with its zone, like 2026-01-31T12:00:00Z or 2026-01-31T13:00:00+01:00.',
  )
}

/** A parser of times like `90s`, `15m`, `12h` or `7d`; plain numbers are seconds. */
export function duration(text: string): number {
  const parsed = parseDuration(text)
  if (parsed !== null && parsed <= DURATION_MAX) return parsed
  throw new InvalidArgumentError('It must be a time like 90s, 15m, 12h or 7d, at most 3650d.')
}

const DURATION_MAX = 3650 * 24 * 3600

/** Collects an option that may be given more than once. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}

export function statuses(text: string, before: string[] = []): string[] {
  const words = text.split(',').map((word) => word.trim())
  const known: readonly string[] = RUN_STATUSES
  if (words.every((word) => known.includes(word))) return [...before, ...words]
  throw new InvalidArgumentError(`It must be one or several of ${RUN_STATUSES.join(', ')}.`)
}

export type DemandedProperties = { [property in DemandProperty]?: string }

export function demand(text: string, before: DemandedProperties = {}): DemandedProperties {
  const [name, value] = keyAndValue(text)
  const property = DEMAND_PROPERTIES.find((each) => each === name)
  if (property === undefined || value === '') {
    throw new InvalidArgumentError(
      `It must be PROPERTY=VALUE with one of ${DEMAND_PROPERTIES.join(', ')}; tags have --tag.`,
    )
  }
  if (before[property] !== undefined && before[property] !== value) {
    throw new InvalidArgumentError(`No runner has two: ${property} is ${before[property]} already.`)
  }
  return { ...before, [property]: value }
}

export function parameter(text: string, before: JsonObject = {}): JsonObject {
  const [key, value] = keyAndValue(text)
  if (key === '') throw new InvalidArgumentError('It must be KEY=VALUE.')
  return { ...before, [key]: jsonOrText(value) }
}

function jsonOrText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return text
  }
}

export function jsonObject(text: string): JsonObject {
  const value = jsonOrText(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new InvalidArgumentError('It must be a JSON object like {"key": "value"}.')
}

/** `=` may occur in the value; without any the key is empty. */
function keyAndValue(text: string): [key: string, value: string] {
  const at = text.indexOf('=')
  return at === -1 ? ['', text] : [text.slice(0, at), text.slice(at + 1)]
}
