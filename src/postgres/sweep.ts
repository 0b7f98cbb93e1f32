/**
 * What time brings to runs: their time itself, time-outs, claims that never started, stops nobody
 * confirmed, runners that went away. Each is one bounded statement that returns what it changed and
 * passes over what another process is at, so that any number of them may sweep at once.
 */
import { type SQL, sql } from '../drizzle.ts'
import { because, type Reason } from '../queue/cause.ts'
import { ERRORS } from '../queue/recovery.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Callbacks } from './callbacks.ts'
import type { Connection, Database } from './database.ts'
import { sessionStatus } from './follow.ts'
import { ended, lostAttempt, reasonGiven, released } from './moves.ts'
import { runs, sessions } from './schema.ts'
import {
  type Moved,
  movedColumns,
  moving,
  orm,
  param,
  preparedChange,
  runnerIs,
  Statement,
  seqAmong,
  statusAmong,
  statusIn,
} from './statements.ts'

/** The guard, with the batch chosen by `order`, which an index gives. */
const batch = (guard: SQL, order: SQL) =>
  seqAmong(sql`
    SELECT seq FROM runs WHERE ${guard} ORDER BY ${order} LIMIT ${param('limit')}
    FOR UPDATE SKIP LOCKED`)

const waitsForTime = sql.raw(`status = 'pending' AND available_at IS NOT NULL`)
const due = moving(
  orm
    .update(runs)
    .set({
      available_at: null,
      updated_at: param('now'),
      ...because('became_available', 'service'),
    })
    .where(batch(sql`${waitsForTime} AND available_at <= ${param('now')}`, sql.raw('available_at')))
    .returning(movedColumns),
)
const nextDue = new Statement<{ available_at: Timestamp }>(
  sql`SELECT available_at FROM runs WHERE ${waitsForTime} ORDER BY available_at LIMIT 1`,
)

const timedOut = moving(
  orm
    .update(runs)
    .set({
      ...ended(TRANSITIONS.time_out.to, because('match_timed_out', 'service')),
      available_at: null,
      error: ERRORS.noMatch,
    })
    .where(
      batch(
        sql`${statusIn(TRANSITIONS.time_out.from)} AND timeout_at IS NOT NULL AND timeout_at <= ${param('now')}`,
        sql.raw('timeout_at'),
      ),
    )
    .returning(movedColumns),
  { followed: sessionStatus },
)

/** The session of a claim that never started still waits: nothing to follow. */
const unstarted = moving(
  orm
    .update(runs)
    .set(released(because('claim_timed_out', 'service')))
    .where(
      batch(
        sql`${statusIn(TRANSITIONS.release.from)} AND claimed_at <= ${param('claimed_before')}`,
        sql.raw('created_at, seq'),
      ),
    )
    .returning(movedColumns),
)

const unconfirmed = moving(
  orm
    .update(runs)
    .set(ended('stopped', because('stop_timed_out', 'service')))
    .where(
      batch(
        sql`status = 'stopping' AND updated_at <= ${param('requested_before')}`,
        sql.raw('created_at, seq'),
      ),
    )
    .returning(movedColumns),
  { followed: sessionStatus },
)
// Sessions that no run stops any more: idle ones whose executor did not confirm.
const unconfirmedSessions = preparedChange(
  orm
    .update(sessions)
    .set({ status: 'stopped', updated_at: param('now') })
    .where(
      seqAmong(sql`
        SELECT seq FROM sessions
        WHERE status = 'stopping' AND updated_at <= ${param('requested_before')}
          AND NOT EXISTS (
            SELECT 1 FROM runs
            WHERE runs.session_id = sessions.session_id AND runs.${statusAmong(['stopping'])})
        LIMIT ${param('limit')} FOR UPDATE SKIP LOCKED`),
    ),
)

// Held runs are few, all runs of a runner may be many.
const heldBy = runnerIs
const releaseHeld = moving(
  orm
    .update(runs)
    .set(released(reasonGiven))
    .where(sql`status = 'claimed' AND ${heldBy}`)
    .returning(movedColumns),
  { followed: sessionStatus },
)
const loseHeld = moving(
  orm
    .update(runs)
    .set(lostAttempt(reasonGiven))
    .where(sql`status = 'running' AND ${heldBy}`)
    .returning(movedColumns),
  { followed: sessionStatus },
)
const stopHeld = moving(
  orm
    .update(runs)
    .set(ended('stopped', reasonGiven))
    .where(sql`status = 'stopping' AND ${heldBy}`)
    .returning(movedColumns),
  { followed: sessionStatus },
)
const endSessions = (from: 'idle' | 'stopping', to: 'finished' | 'stopped') =>
  preparedChange(
    orm
      .update(sessions)
      .set({ status: to, updated_at: param('now') })
      .where(sql`runner_id = ${param('runner_id')} AND status = ${sql.raw(`'${from}'`)}`),
  )
const finishIdleSessions = endSessions('idle', 'finished')
const stopStoppingSessions = endSessions('stopping', 'stopped')

/** The runner is gone, in this transaction: what it held is settled. */
export async function loseRunner(
  on: Connection,
  runner_id: string,
  now: Timestamp,
  reason: Reason,
): Promise<Moved[]> {
  const values = { runner_id, now, error: ERRORS.runnerLost, ...reason }
  const changed = [
    ...(await releaseHeld.all(on, values)),
    ...(await loseHeld.all(on, values)),
    ...(await stopHeld.all(on, values)),
  ]
  await finishIdleSessions.run(on, values)
  await stopStoppingSessions.run(on, values)
  // Whose they were, also where the run is nobody's now.
  return changed.map((run) => ({ ...run, runner_id }))
}

export const createSweeps = (database: Database, callbacks: Callbacks) => ({
  makeAvailable: (now: Timestamp, limit: number): Promise<RunChange[]> =>
    database.run(async (on) => (await due.all(on, { now, limit })).map(changeOf)),

  nextAvailableAt: async (): Promise<Timestamp | null> =>
    (await database.run((on) => nextDue.get(on)))?.available_at ?? null,

  failTimedOut: (now: Timestamp, limit: number): Promise<RunChange[]> =>
    callbacks.changing(now, (on) => timedOut.all(on, { now, limit })),

  releaseUnstarted: (
    claimed_before: Timestamp,
    now: Timestamp,
    limit: number,
  ): Promise<RunChange[]> =>
    database.run(async (on) =>
      (await unstarted.all(on, { claimed_before, now, limit })).map(changeOf),
    ),

  settleUnconfirmedStops: (
    requested_before: Timestamp,
    now: Timestamp,
    limit: number,
  ): Promise<RunChange[]> =>
    callbacks.changing(now, async (on) => {
      const stopped = await unconfirmed.all(on, { requested_before, now, limit })
      await unconfirmedSessions.run(on, { requested_before, now, limit })
      return stopped
    }),
})
