/** Stopping: asking for it, and telling the runner. */
import { eq, sql } from '../drizzle.ts'
import { type Cause, clientOf } from '../queue/cause.ts'
import { runNotFound } from '../queue/refusals.ts'
import { isTerminal, type Timestamp } from '../queue/run.ts'
import { changeOf } from '../queue/run-change.ts'
import type { StopOutcome } from '../queue/run-queue.ts'
import type { Stops as TakenStops } from '../queue/runner.ts'
import type { Caller } from '../queue/token.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Callbacks } from './callbacks.ts'
import type { Orm } from './database.ts'
import type { Follow } from './follow.ts'
import { runners, runs, sessions } from './schema.ts'
import { param, runColumns, statusIn } from './statements.ts'

export type Stops = ReturnType<typeof prepareStops>

export function prepareStops(orm: Orm, follow: Follow, callbacks: Callbacks) {
  const now = sql.placeholder('now')
  const { cancel, request_stop } = TRANSITIONS
  const isCancelled = statusIn(cancel.from)

  const stop = orm
    .update(runs)
    .set({
      status: sql`CASE WHEN ${isCancelled} THEN ${cancel.to} ELSE ${request_stop.to} END`,
      completed_at: sql`CASE WHEN ${isCancelled} THEN ${now} END`,
      // A pending run may wait for its time, which will not come now.
      available_at: null,
      stop_sent_at: null,
      updated_at: param('now'),
      cause: sql<Cause>`CASE WHEN ${isCancelled} THEN 'cancelled' ELSE 'stop_requested' END`,
      changed_by: param('changed_by'),
    })
    .where(sql`run_id = ${param('run_id')} AND ${statusIn([...cancel.from, ...request_stop.from])}`)
    .returning({ ...runColumns, cause: runs.cause, changed_by: runs.changed_by })
    .prepare()

  const find = orm
    .select({ run: runColumns, session_status: sessions.status })
    .from(runs)
    .innerJoin(sessions, eq(sessions.session_id, runs.session_id))
    .where(eq(runs.run_id, param('run_id')))
    .prepare()

  const unsent = sql`status = 'stopping' AND runner_id = ${param('runner_id')}
    AND (stop_sent_at IS NULL OR stop_sent_at <= ${param('resend_before')})`
  const takeRuns = orm
    .update(runs)
    .set({ stop_sent_at: param('now') })
    .where(unsent)
    .returning({ run_id: runs.run_id, session_id: runs.session_id })
    .prepare()
  const takeSessions = orm
    .update(sessions)
    .set({ stop_sent_at: param('now') })
    .where(unsent)
    .returning({ session_id: sessions.session_id })
    .prepare()
  const anyUnsent = sql<number>`EXISTS (SELECT 1 FROM ${runs} WHERE ${unsent})
    OR EXISTS (SELECT 1 FROM ${sessions} WHERE ${unsent})`
  const hasUnsent = orm.select({ any: anyUnsent }).from(sql`(SELECT 1)`).prepare()
  const askRunner = orm
    .select({ deregistered_at: runners.deregistered_at, has_stops: anyUnsent })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id')))
    .prepare()

  return {
    stop(run_id: string, now: Timestamp, caller?: Caller | null): StopOutcome {
      const stopped = stop.get({ run_id, now, changed_by: clientOf(caller) })
      if (stopped) {
        const { cause: _, changed_by: __, ...run } = stopped
        const cancelled = run.status === 'stopped'
        const session_status = cancelled ? 'stopped' : 'stopping'
        follow.setStatus(run.session_id, session_status, now)
        const changes = [changeOf(stopped), ...callbacks.deliver([run], now)]
        return { run, outcome: cancelled ? 'cancelled' : 'requested', session_status, changes }
      }
      const found = find.get({ run_id })
      if (!found) throw runNotFound()
      const outcome = isTerminal(found.run.status) ? 'ended' : 'asked_before'
      return { run: found.run, outcome, session_status: found.session_status, changes: [] }
    },

    /** A read: polls ask often, and there is seldom anything. */
    hasStops: (runner_id: string, resend_before: Timestamp): boolean =>
      Boolean(hasUnsent.get({ runner_id, resend_before })?.any),

    /** What concerns the runner itself, before any run. */
    askRunner: (runner_id: string, resend_before: Timestamp) =>
      askRunner.get({ runner_id, resend_before }),

    takeStops(runner_id: string, now: Timestamp, resend_before: Timestamp): TakenStops {
      const values = { runner_id, now, resend_before }
      const stopped = takeRuns.all(values)
      const session_ids = [...stopped, ...takeSessions.all(values)].map((row) => row.session_id)
      return { run_ids: stopped.map((row) => row.run_id), session_ids: [...new Set(session_ids)] }
    },
  }
}
