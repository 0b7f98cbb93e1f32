/** How this engine's statements are made, and what they share. */
import { createHash } from 'node:crypto'
import { fillPlaceholders, type SQL, type SQLWrapper, sql } from '../drizzle.ts'
import type { Changed } from '../queue/callback.ts'
import type { RunStatus } from '../queue/run.ts'
import type { RunChange } from '../queue/run-change.ts'
import type { SessionStatus } from '../queue/session.ts'
import type { Connection } from './database.ts'
import { drizzle, PgDialect } from './drizzle.ts'
import * as schema from './schema.ts'

/** Builds statements; it is connected to nothing. They run where {@link Statement} is told to. */
export const orm = drizzle.mock()
const dialect = new PgDialect()
const { runs, sessions } = schema

type Values = Record<string, unknown>

/** A statement, made once for the process; each connection prepares it when it first runs there. */
export class Statement<Row> {
  readonly #name: string
  readonly #text: string
  readonly #params: unknown[]
  readonly #moves: boolean

  /** @param moves it is a SELECT of what its own parts wrote */
  constructor(query: SQLWrapper, { moves = false } = {}) {
    this.#moves = moves
    const { sql: text, params } = dialect.sqlToQuery(query.getSQL())
    this.#text = text
    this.#params = params
    // Equal text, equal name: names are per connection, and a connection prepares each once.
    this.#name = `rq_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
  }

  async all(on: Connection, values: Values = {}): Promise<Row[]> {
    return (await this.#execute(on, values)).rows as Row[]
  }

  async get(on: Connection, values: Values = {}): Promise<Row | undefined> {
    return (await this.all(on, values))[0]
  }

  /** @returns how many rows it changed */
  async run(on: Connection, values: Values = {}): Promise<number> {
    return (await this.#execute(on, values)).rowCount ?? 0
  }

  async #execute(on: Connection, values: Values) {
    const given = fillPlaceholders(this.#params, values).map(storable)
    const result = await on.query({ name: this.#name, text: this.#text, values: given })
    if (this.#moves && result.rows.length > 0) on.wrote = true
    return result
  }
}

/** A statement of Drizzle's, which knows what its rows are. */
export const prepared = <Row>(query: SQLWrapper & PromiseLike<Row[]>) => new Statement<Row>(query)
export const preparedChange = (query: SQLWrapper) => new Statement<never>(query)

/** A named parameter of a prepared statement. JSON goes in as text (see {@link json}). */
export const param = <T = unknown>(name: string): SQL<T> => sql<T>`${sql.placeholder(name)}`
/** … where nothing around it says that it is text. */
export const textParam = (name: string): SQL<string | null> =>
  sql<string | null>`${sql.placeholder(name)}::text`

/** PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair. */
export const storedText = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD')
const storable = (value: unknown) =>
  typeof value === 'string' && value.includes('\0') ? storedText(value) : value

/** What JSON may hold and PostgreSQL's does not: NUL, and halves of surrogate pairs. */
const NOT_STORABLE = /\\u(0000|d[89a-f])/i

/** JSON as it is stored: null stays NULL. */
export function json(value: unknown): string | null {
  if (value === null || value === undefined) return null
  const text = JSON.stringify(value)
  if (!NOT_STORABLE.test(text)) return text
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'string') return storedText(one)
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one
    return Object.fromEntries(Object.entries(one).map(([key, member]) => [storedText(key), member]))
  })
}

/** Of texts that {@link json} made. */
export const jsonList = (texts: string[]): string => `[${texts.join(',')}]`

/**
 * `status IN (…)` with the words spelled out: a partial index is used only where the statement itself
 * shows that its condition holds, which a parameter does not.
 */
export function statusIn(statuses: readonly (RunStatus | SessionStatus)[]): SQL {
  const words = statuses.map((status) => `'${status}'`).join(', ')
  return sql.raw(statuses.length === 1 ? `status = ${words}` : `status IN (${words})`)
}

/**
 * … of rows that are sought by something else. The planner does not see through it, and so thinks of
 * no index on the status: while the tables are empty one looks as good as the other, and a plan that
 * was made then lasts.
 */
export function statusAmong(statuses: readonly (RunStatus | SessionStatus)[]): SQL {
  return sql.raw(`status || '' IN (${statuses.map((status) => `'${status}'`).join(', ')})`)
}
/** The same for the runner; what is not distinct may be null, so a partial index does not offer itself. */
export const runnerIs = sql`runner_id IS NOT DISTINCT FROM ${sql.placeholder('runner_id')}`

export const runColumns = {
  run_id: runs.run_id,
  session_id: runs.session_id,
  type: runs.type,
  agent_name: runs.agent_name,
  prompt: sql<string | null>`parameters ->> 'prompt'`.as('prompt'),
  parameters: runs.parameters,
  scope: runs.scope,
  project_dir: runs.project_dir,
  parent_session_id: runs.parent_session_id,
  execution_mode: runs.execution_mode,
  demands: runs.demands,
  priority: runs.priority,
  status: runs.status,
  runner_id: runs.runner_id,
  error: runs.error,
  result: runs.result,
  attempt: runs.attempt,
  max_attempts: runs.max_attempts,
  retry_delay_seconds: runs.retry_delay_seconds,
  on_lost: runs.on_lost,
  created_at: runs.created_at,
  claimed_at: runs.claimed_at,
  started_at: runs.started_at,
  completed_at: runs.completed_at,
  available_at: runs.available_at,
  timeout_at: runs.timeout_at,
}
/** … with its place in the order of adding. */
export const numberedColumns = { ...runColumns, seq: runs.seq }
const RUN_FIELDS = Object.keys(runColumns)

/** The fields of a run, in a statement of one's own; `from` is the table or CTE that has them. */
export const runFields = (from: string): SQL =>
  sql.raw(RUN_FIELDS.map((field) => `${from}.${field}`).join(', '))

/** What an UPDATE of runs says for {@link moving}: what it did, and what it concerns. */
export const movedColumns = {
  seq: runs.seq,
  run_id: runs.run_id,
  session_id: runs.session_id,
  parent_session_id: runs.parent_session_id,
  execution_mode: runs.execution_mode,
  status: runs.status,
  runner_id: runs.runner_id,
  attempt: runs.attempt,
  cause: runs.cause,
  changed_by: runs.changed_by,
}
/** A run that was moved, and whom that concerns. */
export type Moved = RunChange & Changed

/**
 * A statement that moves runs, and in which other things follow: `update` is an UPDATE of runs that
 * returns {@link movedColumns}, which the others know as `moved`.
 * @returns the runs as they are then, oldest first
 */
export function moving<R extends Moved = Moved>(
  update: SQLWrapper,
  following: Record<string, SQL> = {},
): Statement<R> {
  const others = Object.entries(following).map(([name, one]) => sql`, ${sql.raw(name)} AS (${one})`)
  return new Statement<R>(
    sql`WITH moved AS ${update}${sql.join(others)} SELECT * FROM moved ORDER BY seq`,
    { moves: true },
  )
}

/** Once, whatever the plan: in a subquery that is joined, a LIMIT may be counted anew for each row. */
export const seqAmong = (select: SQL): SQL => sql`seq = ANY(ARRAY(${select}))`

/** The events of a session, through its seq. */
export const ofSession = sql`session_seq = (
  SELECT seq FROM sessions WHERE session_id = ${sql.placeholder('session_id')})`

export const sessionColumns = {
  session_id: sessions.session_id,
  status: sessions.status,
  created_at: sessions.created_at,
  project_dir: sessions.project_dir,
  agent_name: sessions.agent_name,
  last_resumed_at: sessions.last_resumed_at,
  parent_session_id: sessions.parent_session_id,
  executor_session_id: sessions.executor_session_id,
  executor_profile: sessions.executor_profile,
  hostname: sessions.hostname,
}
