/** How a session follows its runs, in the transaction of the change that it follows. */
import { eq, sql } from '../drizzle.ts'
import type { JsonValue, Timestamp } from '../queue/run.ts'
import { ACTIVE_STATUSES } from '../queue/run.ts'
import type { SessionStatus } from '../queue/session.ts'
import type { Orm } from './database.ts'
import { runs, sessionEvents, sessions } from './schema.ts'
import { param, statusIn } from './statements.ts'

export type Follow = ReturnType<typeof prepareFollow>

export function prepareFollow(orm: Orm) {
  const setStatus = orm
    .update(sessions)
    .set({ status: param<SessionStatus>('status'), updated_at: param('now') })
    .where(eq(sessions.session_id, param('session_id')))
    .prepare()

  const setServed = orm
    .update(sessions)
    .set({
      status: param<SessionStatus>('status'),
      runner_id: param('runner_id'),
      parent_session_id: sql`coalesce(${param('parent_session_id')}, parent_session_id)`,
      stop_sent_at: null,
      updated_at: param('now'),
    })
    .where(eq(sessions.session_id, param('session_id')))
    .prepare()

  const addEvent = orm
    .insert(sessionEvents)
    .values({
      session_seq: sql`(SELECT seq FROM ${sessions} WHERE session_id = ${param('session_id')})`,
      run_id: sql`coalesce(${param('run_id')}, (
        SELECT run_id FROM ${runs}
        WHERE session_id = ${param('session_id')} AND ${statusIn(ACTIVE_STATUSES)}
        ORDER BY created_at DESC, seq DESC LIMIT 1))`,
      event_type: param('event_type'),
      timestamp: param('timestamp'),
      payload: param('payload'),
    })
    .prepare()

  return {
    setStatus(session_id: string, status: SessionStatus, now: Timestamp): void {
      setStatus.run({ session_id, status, now })
    },
    /** A runner tells that it serves the session, by a report of a start or of an end. */
    setServed(
      run: { session_id: string; parent_session_id: string | null },
      runner_id: string,
      status: SessionStatus,
      now: Timestamp,
    ): void {
      const { session_id, parent_session_id } = run
      setServed.run({ session_id, parent_session_id, runner_id, status, now })
    },
    /** Without a run_id the event belongs to the run that is active in the session. */
    addEvent(event: {
      session_id: string
      run_id: string | null
      event_type: string
      timestamp: Timestamp
      payload: Record<string, JsonValue>
    }): void {
      addEvent.run({ ...event, payload: JSON.stringify(event.payload) })
    },
  }
}
