/** The column changes that more than one statement makes, each written once. */
import { sql } from 'drizzle-orm'
import type { TERMINAL_STATUSES } from '../queue/run.ts'
import { param } from './statements.ts'

/** Seconds from `now` on, in the form of all times; NULL where the run has no timeout. */
const renewedTimeout = sql<
  string | null
>`strftime('%Y-%m-%dT%H:%M:%fZ', ${sql.placeholder('now')}, timeout_seconds || ' seconds')`

/** Back to the queue as if never claimed: no attempt is counted. */
export const released = {
  status: 'pending' as const,
  runner_id: null,
  claim_token: null,
  claim_key: null,
  claimed_at: null,
  attempt: sql`attempt - 1`,
  timeout_at: renewedTimeout,
  updated_at: param<string>('now'),
}

const attemptsLeft = sql.raw(`status <> 'stopping' AND attempt < max_attempts`)
const ifRetried = (then: unknown, otherwise: unknown) =>
  sql`CASE WHEN ${attemptsLeft} THEN ${then} ELSE ${otherwise} END`

/**
 * The attempt failed: pending again while attempts are left, else failed. The claim_token stays, by
 * which a repeated report of the same failure is recognised.
 */
export const failedAttempt = {
  status: sql<'pending' | 'failed'>`${ifRetried(sql`'pending'`, sql`'failed'`)}`,
  error: param<string>('error'),
  runner_id: sql`${ifRetried(sql`NULL`, sql`runner_id`)}`,
  claim_key: null,
  claimed_at: sql`${ifRetried(sql`NULL`, sql`claimed_at`)}`,
  started_at: sql`${ifRetried(sql`NULL`, sql`started_at`)}`,
  timeout_at: sql`${ifRetried(renewedTimeout, sql`timeout_at`)}`,
  completed_at: sql`${ifRetried(sql`NULL`, sql.placeholder('now'))}`,
  updated_at: param<string>('now'),
}

/** The run has ended. */
export const ended = <S extends (typeof TERMINAL_STATUSES)[number]>(status: S) => ({
  status,
  completed_at: param<string>('now'),
  updated_at: param<string>('now'),
})
