/** What PostgreSQL's codes mean to the caller of a queue: https://www.postgresql.org/docs/current/errcodes-appendix.html */
import { DatabaseOpenError, QueueError } from '../queue/errors.ts'
import { runExists } from '../queue/refusals.ts'

interface Told {
  code?: string
  constraint?: string
  message: string
}

const told = (error: unknown): Told =>
  error instanceof Error ? (error as Told & Error) : { message: String(error) }

/**
 * Undone as a whole by PostgreSQL, and to be done again: a deadlock, a conflict of transactions, a
 * request that another one with the same idempotency key has overtaken, or one that built on what was
 * deleted meanwhile.
 */
export function isRepeatable(error: unknown): boolean {
  const { code, constraint } = told(error)
  return (
    code === '40001' ||
    code === '40P01' ||
    code === '23503' ||
    (code === '23505' && constraint === 'idx_runs_idempotency')
  )
}

/** The connection did not come about, is no more, or keeps silent. */
export function isDisconnected(error: unknown): boolean {
  const { code = '', message } = told(error)
  return (
    /^(08|57P0|25P03)/.test(code) ||
    /^E(CONN|PIPE|HOST|NET|TIMEDOUT|AI_AGAIN|NOTFOUND)/.test(code) ||
    /^(Connection terminated|Client (has encountered|was closed)|Cannot use a pool|timeout (exceeded|expired)|Query read timeout)/.test(
      message,
    )
  )
}

/** No answer came in time: the server, or the network before it, is gone without a word. */
export const isSilence = (error: unknown): boolean =>
  /^Query read timeout/.test(told(error).message)

/** A QueueError for what the world does to a database; other errors are returned as they are. */
export function translate(error: unknown): unknown {
  if (error instanceof QueueError) return error
  const { code = '', constraint, message } = told(error)
  if (code === '23505' && constraint === 'runs_run_id_unique') {
    return runExists(error)
  }
  const as = (kind: 'database_busy' | 'database_full' | 'database_unavailable', words: string) =>
    new QueueError(kind, words, { cause: error })
  if (code === '53100' || code === '53200') {
    return as('database_full', `the database server has no room left: ${message}`)
  }
  if (isRepeatable(error) || code === '55P03' || code === '57014') {
    return as('database_busy', `the database is busy: ${message}`)
  }
  if (isDisconnected(error)) {
    return as('database_unavailable', `the database cannot be reached: ${message}`)
  }
  // Too many connections, a server that is a read-only standby now, disks that fail.
  if (/^(53|58|25006|XX001|XX002)/.test(code)) {
    return as('database_unavailable', `the database cannot be used: ${message}`)
  }
  return error
}

/** What a database that cannot be opened means, and what a person can do about it. */
export function translateOpen(place: string, error: unknown): unknown {
  if (error instanceof DatabaseOpenError) return error
  const { code = '', message } = told(error)
  const because = (advice: string) =>
    new DatabaseOpenError(`cannot open ${place} (${message}). ${advice}`, error)
  if (code === '3D000') {
    return because('Create the database (createdb), or name another one in DATABASE_URL.')
  }
  if (/^28/.test(code)) return because('Check the user and the password in DATABASE_URL.')
  if (code === '42501') {
    return because(
      'Let this user create a schema there (GRANT CREATE ON DATABASE), or have its owner start runqueue once.',
    )
  }
  if (isDisconnected(error) || /^53/.test(code)) {
    return because('Check that PostgreSQL runs there and takes connections.')
  }
  return error
}
