/** The column changes that more than one statement makes, each written once. */
import { type SQL, sql } from '../drizzle.ts'
import { because, type Cause, type Reason } from '../queue/cause.ts'
import type { TERMINAL_STATUSES } from '../queue/run.ts'
import { RETRY_DELAY_SECONDS_MAX } from '../queue/run-queue.ts'
import { param, textParam } from './statements.ts'

/** An instant and so many seconds each, in the form of all times; NULL where one of them is. */
export function later(instant: SQL, ...seconds: SQL[]): SQL<string | null> {
  const more = seconds.map((each) => sql` + ${each} * interval '1 second'`)
  return sql`to_char((${instant}::timestamptz${sql.join(more)}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

const now = textParam('now')
/** NULL where the run has no timeout. */
const timeoutSeconds = sql.raw('timeout_seconds')

/** As the caller of the statement says. */
export const reasonGiven = { cause: param<Cause>('cause'), changed_by: param<string>('changed_by') }

/** Back to the queue as if never claimed: no attempt is counted. */
export const released = (reason: Reason | typeof reasonGiven) => ({
  status: 'pending' as const,
  runner_id: null,
  claim_token: null,
  claim_key: null,
  claimed_at: null,
  attempt: sql`attempt - 1`,
  timeout_at: later(now, timeoutSeconds),
  updated_at: param<string>('now'),
  ...reason,
})

/**
 * What the next attempt waits: twice as long each time, and up to a quarter more by a multiplicative
 * hash, so that runs which failed at one moment (their seqs lie side by side) spread evenly over it.
 */
const retryDelay = sql.raw(`round(least(${RETRY_DELAY_SECONDS_MAX},
  coalesce(retry_delay_seconds, 0) * power(2::float8, least(attempt - 1, 62))
  * (1 + (seq + attempt * 7919) * 40503 % 65536 / 262144::float8))::numeric, 3)::float8`)

/**
 * The attempt is over: pending again where `again` holds, else failed. The claim_token stays, by
 * which a repeated report of the same failure is recognised.
 */
function attemptOver(again: SQL, now: SQL, error: SQL) {
  const ifAgain = (then: SQL, otherwise: SQL) =>
    sql`CASE WHEN ${again} THEN ${then} ELSE ${otherwise} END`
  const none = sql`NULL`
  return {
    status: sql<'pending' | 'failed'>`${ifAgain(sql`'pending'`, sql`'failed'`)}`,
    error: sql<string>`${error}`,
    runner_id: ifAgain(none, sql`runner_id`),
    claim_key: null,
    claimed_at: ifAgain(none, sql`claimed_at`),
    started_at: ifAgain(none, sql`started_at`),
    available_at: sql`CASE WHEN ${again} AND retry_delay_seconds > 0 THEN ${later(now, retryDelay)} END`,
    timeout_at: ifAgain(later(now, retryDelay, timeoutSeconds), sql`timeout_at`),
    completed_at: ifAgain(none, now),
    updated_at: sql<string>`${now}`,
  }
}

/** A failure that was reported: tried again while attempts are left. */
const againAfterFailure = sql.raw(`status <> 'stopping' AND attempt < max_attempts`)
export const failedAttempt = (instant: SQL, error: SQL) => ({
  ...attemptOver(againAfterFailure, instant, error),
  ...because('failed', 'runner'),
  cause: sql<Cause>`CASE WHEN ${againAfterFailure} THEN 'attempt_failed' ELSE 'failed' END`,
})
/** The runner of a running run is lost, and may be at it still: tried again only if the run says so. */
export const lostAttempt = (reason: Reason | typeof reasonGiven) => ({
  ...attemptOver(sql.raw(`on_lost = 'requeue' AND attempt < max_attempts`), now, param('error')),
  ...reason,
})

/** The run has ended. */
export const ended = <S extends (typeof TERMINAL_STATUSES)[number]>(
  status: S,
  reason: Reason | typeof reasonGiven,
  instant: SQL = now,
) => ({
  status,
  completed_at: sql<string>`${instant}`,
  updated_at: sql<string>`${instant}`,
  ...reason,
})
