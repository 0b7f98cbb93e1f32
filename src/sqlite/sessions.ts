/** The sessions on SQLite. */
import { asc, desc, eq, sql } from '../drizzle.ts'
import { cursorText, parseCursor } from '../queue/cursor.ts'
import {
  runnerNotRegistered,
  sessionAtWork,
  sessionNotFound,
  sessionNotHeld,
} from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import type { Session } from '../queue/session.ts'
import { sessionEvent } from '../queue/session-event.ts'
import {
  type DeletedSession,
  SESSION_EVENTS_LIMIT,
  type SessionStop,
  type Sessions,
} from '../queue/sessions.ts'
import type { Caller } from '../queue/token.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import type { Follow } from './follow.ts'
import { prepareLists } from './list.ts'
import type { Ownership } from './ownership.ts'
import { runners, runs, sessionEvents, sessions } from './schema.ts'
import { prepareSessionResult } from './session-result.ts'
import { atMost, ofSession, param, sessionColumns } from './statements.ts'
import type { Stops } from './stop.ts'

interface Parts {
  orm: Orm
  lane: CommitLane
  follow: Follow
  stops: Stops
  ownership: Ownership
}

export function createSessions({ orm, lane, follow, stops, ownership }: Parts): Sessions {
  const { activeOfSession } = prepareLists(orm)
  const result = prepareSessionResult(orm)
  const isSession = eq(sessions.session_id, param('session_id'))

  const get = orm.select(sessionColumns).from(sessions).where(isSession).prepare()
  const list = orm
    .select({ ...sessionColumns, seq: sessions.seq })
    .from(sessions)
    .where(sql`seq < ${param('before')}`)
    .orderBy(desc(sessions.seq))
    .limit(atMost('limit'))
    .prepare()

  // A binding that comes late must not bring back what was stopped or failed meanwhile.
  const bind = orm
    .update(sessions)
    .set({
      status: sql`CASE WHEN status IN ('stopping', 'stopped', 'failed') THEN status ELSE 'running' END`,
      executor_session_id: param('executor_session_id'),
      hostname: param('hostname'),
      executor_profile: param('executor_profile'),
      executor_type: param('executor_type'),
      project_dir: sql`coalesce(${param('project_dir')}, project_dir)`,
      updated_at: param('now'),
    })
    .where(isSession)
    .returning(sessionColumns)
    .prepare()

  const unlessNull = (column: string) => sql`coalesce(${param(column)}, ${sql.raw(column)})`
  const update = orm
    .update(sessions)
    .set({
      project_dir: unlessNull('project_dir'),
      agent_name: unlessNull('agent_name'),
      last_resumed_at: unlessNull('last_resumed_at'),
      executor_session_id: unlessNull('executor_session_id'),
      executor_profile: unlessNull('executor_profile'),
      executor_type: unlessNull('executor_type'),
      hostname: unlessNull('hostname'),
      updated_at: param('now'),
    })
    .where(isSession)
    .returning(sessionColumns)
    .prepare()

  const listEvents = orm
    .select()
    .from(sessionEvents)
    .where(ofSession)
    .orderBy(asc(sessionEvents.id))
    .limit(atMost(SESSION_EVENTS_LIMIT))
    .prepare()

  const findRunner = orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id')))
    .prepare()
  const report = orm
    .update(sessions)
    .set({ status: param('status'), updated_at: param('now') })
    .where(
      sql`session_id = ${param('session_id')}
        AND (runner_id IS NULL OR runner_id = ${param('runner_id')})`,
    )
    .prepare()

  const stopIdle = orm
    .update(sessions)
    .set({
      status: sql`CASE WHEN status = 'idle' AND runner_id IS NOT NULL THEN 'stopping' ELSE 'stopped' END`,
      stop_sent_at: null,
      updated_at: param('now'),
    })
    .where(isSession)
    .returning(sessionColumns)
    .prepare()

  const counts = orm
    .select({
      status: sessions.status,
      events_count: sql<number>`(SELECT count(*) FROM ${sessionEvents} WHERE session_seq = ${sessions.seq})`,
      runs_count: sql<number>`(SELECT count(*) FROM ${runs} WHERE session_id = ${param('session_id')})`,
    })
    .from(sessions)
    .where(isSession)
    .prepare()
  const remove = orm.delete(sessions).where(isSession).prepare()

  function existing(session: Session | undefined): Session {
    if (!session) throw sessionNotFound()
    return session
  }

  function stop(
    session_id: string,
    now: Timestamp,
    caller: Caller | null | undefined,
  ): SessionStop {
    const session = existing(get.get({ session_id }))
    const active = activeOfSession(session_id)
    if (active) {
      const { outcome, changes } = stops.stop(active.run_id, now, caller)
      const stopped = existing(get.get({ session_id }))
      return { session: stopped, run_id: active.run_id, outcome, changes }
    }
    if (session.status === 'stopping')
      return { session, run_id: null, outcome: 'asked_before', changes: [] }
    if (['stopped', 'finished', 'failed'].includes(session.status)) {
      return { session, run_id: null, outcome: 'ended', changes: [] }
    }
    const stopped = existing(stopIdle.get({ session_id, now }))
    const outcome = stopped.status === 'stopping' ? 'requested' : 'cancelled'
    return { session: stopped, run_id: null, outcome, changes: [] }
  }

  return {
    get: async (session_id) => get.get({ session_id }) ?? null,

    async list({ limit, cursor }) {
      // One more than asked for tells whether there is a next page.
      const rows = list.all({ before: parseCursor(cursor).seq, limit: limit + 1 })
      const listed = rows.slice(0, limit)
      const last = listed.at(-1)
      return {
        sessions: listed.map(({ seq: _, ...session }) => session),
        next_cursor: rows.length > limit && last ? cursorText(last) : null,
      }
    },

    bind: (session_id, binding, now) =>
      lane.write(() => existing(bind.get({ project_dir: null, ...binding, session_id, now }))),

    update: (session_id, metadata, now) =>
      lane.write(() => {
        const { project_dir = null, agent_name = null, last_resumed_at = null } = metadata
        const { executor_session_id = null, executor_profile = null } = metadata
        const { executor_type = null, hostname = null } = metadata
        const row = update.get({
          project_dir,
          agent_name,
          last_resumed_at,
          executor_session_id,
          executor_profile,
          executor_type,
          hostname,
          session_id,
          now,
        })
        return existing(row)
      }),

    addEvent: ({ session_id, event_type, timestamp, ...payload }) =>
      lane.write(() => {
        existing(get.get({ session_id }))
        follow.addEvent({ session_id, run_id: null, event_type, timestamp, payload })
      }),

    async events(session_id) {
      existing(get.get({ session_id }))
      return listEvents.all({ session_id }).map((event) => sessionEvent(session_id, event))
    },

    async result(session_id) {
      return result(existing(get.get({ session_id })))
    },

    stop: (session_id, now, caller) => lane.write(() => stop(session_id, now, caller)),

    report: (session_id, runner_id, status, now, caller) =>
      lane.write(() => {
        ownership.check(runner_id, caller, now)
        if (!findRunner.get({ runner_id })) {
          throw runnerNotRegistered()
        }
        if (report.run({ session_id, runner_id, status, now }).changes > 0) return
        existing(get.get({ session_id }))
        throw sessionNotHeld(session_id, runner_id)
      }),

    delete: (session_id) =>
      lane.write((): DeletedSession => {
        const found = counts.get({ session_id })
        if (!found) throw sessionNotFound()
        const { status, ...deleted } = found
        if (status === 'running' || status === 'idle') {
          throw sessionAtWork()
        }
        remove.run({ session_id })
        return deleted
      }),
  }
}
