/** What the prepared statements of this engine share. */
import { type Placeholder, type SQL, sql } from '../drizzle.ts'
import type { RunStatus } from '../queue/run.ts'
import type { SessionStatus } from '../queue/session.ts'
import { runs, sessions } from './schema.ts'

/** A named parameter of a prepared statement. JSON goes in as text (see {@link json}). */
export const param = <T = unknown>(name: string): SQL<T> => sql<T>`${sql.placeholder(name)}`

/**
 * For `limit(…)`: a number, or the name of a parameter. Where SQLite looked at a parameter to plan a
 * statement, as it does at `LIMIT ?`, it plans anew whenever that is bound: 10 µs instead of 1 for
 * what a look for news takes. It does not look behind a sign.
 */
export const atMost = (limit: number | string): Placeholder =>
  (typeof limit === 'number'
    ? sql.raw(String(limit))
    : sql`+${sql.placeholder(limit)}`) as unknown as Placeholder

/** JSON as it is stored: null stays NULL. */
export const json = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value)

/**
 * `status IN (…)` with the words spelled out: SQLite uses a partial index only when the statement
 * itself shows that its condition holds, which a bound parameter does not.
 */
export function statusIn(statuses: readonly (RunStatus | SessionStatus)[]): SQL {
  const words = statuses.map((status) => `'${status}'`).join(', ')
  return sql.raw(statuses.length === 1 ? `status = ${words}` : `status IN (${words})`)
}

/** The same of a row that is found already: SQLite builds a table of more than two words. */
export const statusOneOf = (statuses: readonly RunStatus[]): SQL =>
  sql.raw(`(${statuses.map((status) => `status = '${status}'`).join(' OR ')})`)

export const runColumns = {
  run_id: runs.run_id,
  session_id: runs.session_id,
  type: runs.type,
  agent_name: runs.agent_name,
  prompt: runs.prompt,
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

/** What a statement that moves runs returns: what it did, and what it concerns. */
export const movedColumns = {
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

/** The claim token comes along where the run is handed to its runner. */
export const claimedRunColumns = {
  ...runColumns,
  claim_token: sql<string>`${runs.claim_token}`,
  traceparent: runs.traceparent,
}

/** The events of a session, through its seq. */
export const ofSession = sql`session_seq = (
  SELECT seq FROM ${sessions} WHERE session_id = ${sql.placeholder('session_id')})`

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
