/**
 * What time brings to runs: their time itself, time-outs, claims that never started, stops nobody confirmed, runners
 * that went away. Each is one bounded statement that returns what it changed, so that any number of
 * processes may sweep at once.
 */
import { type SQL, sql } from '../drizzle.ts'
import type { Changed } from '../queue/callback.ts'
import { because, type Reason } from '../queue/cause.ts'
import { ERRORS } from '../queue/recovery.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Callbacks } from './callbacks.ts'
import type { Orm } from './database.ts'
import type { Follow } from './follow.ts'
import { ended, lostAttempt, reasonGiven, released } from './moves.ts'
import { runs, sessions } from './schema.ts'
import { atMost, movedColumns, param, statusIn } from './statements.ts'

/** The guard, with the batch chosen by `order`, which an index gives. */
const batch = (guard: SQL, order: SQL) =>
  sql`seq IN (SELECT seq FROM ${runs} WHERE ${guard} ORDER BY ${order} LIMIT ${atMost('limit')})`

/** A run that was moved, and whom that concerns. */
export type Moved = RunChange & Changed

export type Sweeps = ReturnType<typeof prepareSweeps>

export function prepareSweeps(orm: Orm, follow: Follow, callbacks: Callbacks) {
  // INDEXED BY: SQLite would rather walk all pending runs by idx_runs_status_created, and sort them.
  const waitingForTime = sql.raw(
    `runs INDEXED BY idx_runs_available WHERE status = 'pending' AND available_at IS NOT NULL`,
  )
  const due = orm
    .update(runs)
    .set({
      available_at: null,
      updated_at: param('now'),
      ...because('became_available', 'service'),
    })
    .where(
      sql`seq IN (
        SELECT seq FROM ${waitingForTime} AND available_at <= ${param('now')}
        ORDER BY available_at LIMIT ${atMost('limit')})`,
    )
    .returning(movedColumns)
    .prepare()
  const nextDue = orm
    .select({ available_at: sql<Timestamp>`available_at` })
    .from(waitingForTime)
    .orderBy(sql`available_at`)
    .limit(atMost(1))
    .prepare()

  const timedOut = orm
    .update(runs)
    .set({
      ...ended(TRANSITIONS.time_out.to, because('match_timed_out', 'service')),
      available_at: null,
      error: ERRORS.noMatch,
    })
    .where(
      sql`seq IN (
        SELECT seq FROM runs INDEXED BY idx_runs_timeout
        WHERE ${statusIn(TRANSITIONS.time_out.from)} AND timeout_at <= ${param('now')}
        ORDER BY timeout_at LIMIT ${atMost('limit')})`,
    )
    .returning(movedColumns)
    .prepare()

  const unstarted = orm
    .update(runs)
    .set(released(because('claim_timed_out', 'service')))
    .where(
      batch(
        sql`${statusIn(TRANSITIONS.release.from)} AND claimed_at <= ${param('claimed_before')}`,
        sql.raw('created_at'),
      ),
    )
    .returning(movedColumns)
    .prepare()

  const unconfirmed = orm
    .update(runs)
    .set(ended('stopped', because('stop_timed_out', 'service')))
    .where(
      batch(
        sql`status = 'stopping' AND updated_at <= ${param('requested_before')}`,
        sql.raw('created_at'),
      ),
    )
    .returning(movedColumns)
    .prepare()
  // Sessions that no run stops any more: idle ones whose executor did not confirm.
  const unconfirmedSessions = orm
    .update(sessions)
    .set({ status: 'stopped', updated_at: param('now') })
    .where(
      sql`seq IN (
        SELECT seq FROM sessions INDEXED BY idx_sessions_stopping
        WHERE status = 'stopping' AND updated_at <= ${param('requested_before')}
          AND NOT EXISTS (
            SELECT 1 FROM runs WHERE session_id = sessions.session_id AND runs.status = 'stopping')
        LIMIT ${atMost('limit')})`,
    )
    .prepare()

  // `+runner_id`: held runs are few, all runs of a runner may be many; the plus keeps SQLite
  // from choosing the index on runner_id.
  const heldBy = sql`+runner_id = ${param('runner_id')}`
  const releaseHeld = orm
    .update(runs)
    .set(released(reasonGiven))
    .where(sql`status = 'claimed' AND ${heldBy}`)
    .returning(movedColumns)
    .prepare()
  const failHeld = orm
    .update(runs)
    .set(lostAttempt(reasonGiven))
    .where(sql`status = 'running' AND ${heldBy}`)
    .returning(movedColumns)
    .prepare()
  const stopHeld = orm
    .update(runs)
    .set(ended('stopped', reasonGiven))
    .where(sql`status = 'stopping' AND ${heldBy}`)
    .returning(movedColumns)
    .prepare()
  const endSessions = (from: 'idle' | 'stopping', to: 'finished' | 'stopped') =>
    orm
      .update(sessions)
      .set({ status: to, updated_at: param('now') })
      .where(sql`runner_id = ${param('runner_id')} AND status = ${sql.raw(`'${from}'`)}`)
      .prepare()
  const finishIdleSessions = endSessions('idle', 'finished')
  const stopStoppingSessions = endSessions('stopping', 'stopped')

  /** Sessions take the status of the run; a run that waits again makes its session wait. */
  function followRuns(changed: Moved[], now: Timestamp): void {
    for (const { session_id, status } of changed) {
      if (status === 'pending' || status === 'failed' || status === 'stopped') {
        follow.setStatus(session_id, status, now)
      }
    }
  }

  function followAndTell(changed: Moved[], now: Timestamp): RunChange[] {
    followRuns(changed, now)
    return [...changed.map(changeOf), ...callbacks.deliver(changed, now)]
  }

  return {
    makeAvailable: (now: Timestamp, limit: number): RunChange[] =>
      due.all({ now, limit }).map(changeOf),
    nextAvailableAt: (): Timestamp | null => nextDue.get()?.available_at ?? null,

    failTimedOut: (now: Timestamp, limit: number): RunChange[] =>
      followAndTell(timedOut.all({ now, limit }), now),

    /** The session of a claim that never started still waits: nothing to follow. */
    releaseUnstarted: (claimed_before: Timestamp, now: Timestamp, limit: number): RunChange[] =>
      unstarted.all({ claimed_before, now, limit }).map(changeOf),

    settleUnconfirmedStops(
      requested_before: Timestamp,
      now: Timestamp,
      limit: number,
    ): RunChange[] {
      const stopped = unconfirmed.all({ requested_before, now, limit })
      // Before parents are told: that may make one of these sessions wait again.
      unconfirmedSessions.run({ requested_before, now, limit })
      return followAndTell(stopped, now)
    },

    /** The runner is gone: what it held is settled. Who removes it tells parents. */
    loseRunner(runner_id: string, now: Timestamp, reason: Reason): Moved[] {
      const values = { runner_id, now, error: ERRORS.runnerLost, ...reason }
      const changed = [...releaseHeld.all(values), ...failHeld.all(values), ...stopHeld.all(values)]
      followRuns(changed, now)
      finishIdleSessions.run(values)
      stopStoppingSessions.run(values)
      // Whose they were, also where the run is nobody's now.
      return changed.map((run) => ({ ...run, runner_id }))
    },
  }
}
