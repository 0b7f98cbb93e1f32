/** The sessions on PostgreSQL. */
import { asc, desc, eq, sql } from '../drizzle.ts'
import { cursorText, parseCursor } from '../queue/cursor.ts'
import {
  runnerNotRegistered,
  sessionAtWork,
  sessionNotFound,
  sessionNotHeld,
} from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import { ACTIVE_STATUSES } from '../queue/run.ts'
import type { Session } from '../queue/session.ts'
import { sessionEvent } from '../queue/session-event.ts'
import {
  type DeletedSession,
  SESSION_EVENTS_LIMIT,
  type SessionStop,
  type Sessions,
} from '../queue/sessions.ts'
import type { Caller } from '../queue/token.ts'
import type { Database } from './database.ts'
import { addSessionEvent } from './follow.ts'
import { findActiveOfSession } from './list.ts'
import { asCaller, explainRefusal, isAllowed } from './ownership.ts'
import { runners, runs, sessionEvents, sessions } from './schema.ts'
import { resultOf } from './session-result.ts'
import {
  json,
  ofSession,
  orm,
  param,
  prepared,
  preparedChange,
  sessionColumns,
  statusAmong,
  textParam,
} from './statements.ts'
import type { Stops } from './stop.ts'

const isSession = eq(sessions.session_id, param('session_id'))

const get = prepared(orm.select(sessionColumns).from(sessions).where(isSession))
const list = prepared(
  orm
    .select({ ...sessionColumns, seq: sessions.seq })
    .from(sessions)
    .where(sql`seq < ${param('before')}`)
    .orderBy(desc(sessions.seq))
    .limit(sql.placeholder('limit')),
)

// A binding that comes late must not bring back what was stopped or failed meanwhile.
const bind = prepared(
  orm
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
    .returning(sessionColumns),
)

const unlessNull = (column: string) => sql`coalesce(${param(column)}, ${sql.raw(column)})`
const update = prepared(
  orm
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
    .returning(sessionColumns),
)

const listEvents = prepared(
  orm
    .select()
    .from(sessionEvents)
    .where(ofSession)
    .orderBy(asc(sessionEvents.id))
    .limit(SESSION_EVENTS_LIMIT),
)

const findRunner = prepared(
  orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id'))),
)
const report = preparedChange(
  orm
    .update(sessions)
    .set({ status: param('status'), updated_at: param('now') })
    .where(
      sql`session_id = ${param('session_id')}
        AND (runner_id IS NULL OR runner_id = ${param('runner_id')})
        AND EXISTS (SELECT 1 FROM runners WHERE runners.runner_id = ${param('runner_id')})
        AND ${isAllowed}`,
    ),
)

/** Only while none of its runs is active: that would have to be stopped first. */
const stopIdle = prepared(
  orm
    .update(sessions)
    .set({
      status: sql`CASE WHEN status = 'idle' AND runner_id IS NOT NULL THEN 'stopping' ELSE 'stopped' END`,
      stop_sent_at: null,
      updated_at: param('now'),
    })
    .where(
      sql`session_id = ${param('session_id')} AND status IN ('pending', 'running', 'idle')
        AND NOT EXISTS (
          SELECT 1 FROM runs
          WHERE runs.session_id = sessions.session_id AND runs.${statusAmong(ACTIVE_STATUSES)})`,
    )
    .returning(sessionColumns),
)

const remove = prepared(
  orm
    .delete(sessions)
    .where(sql`session_id = ${param('session_id')} AND status NOT IN ('running', 'idle')`)
    .returning({
      events_count: sql<number>`(
        SELECT count(*) FROM ${sessionEvents} WHERE session_seq = sessions.seq)`.as('events_count'),
      runs_count: sql<number>`(
        SELECT count(*) FROM ${runs} WHERE session_id = ${textParam('session_id')})`.as(
        'runs_count',
      ),
    }),
)

function existing(session: Session | undefined): Session {
  if (!session) throw sessionNotFound()
  return session
}

interface Parts {
  database: Database
  stops: Stops
}

export function createSessions({ database, stops }: Parts): Sessions {
  const find = async (session_id: string): Promise<Session> =>
    existing(await database.run((on) => get.get(on, { session_id })))

  /** Each step is decided by its own guard; where things changed in between, it looks again. */
  async function stop(
    session_id: string,
    now: Timestamp,
    caller?: Caller | null,
  ): Promise<SessionStop> {
    for (;;) {
      const session = await find(session_id)
      const active = await database.run((on) => findActiveOfSession(on, session_id))
      if (active) {
        const { outcome, changes } = await stops.stop(active.run_id, now, caller)
        return { session: await find(session_id), run_id: active.run_id, outcome, changes }
      }
      if (session.status === 'stopping')
        return { session, run_id: null, outcome: 'asked_before', changes: [] }
      if (['stopped', 'finished', 'failed'].includes(session.status)) {
        return { session, run_id: null, outcome: 'ended', changes: [] }
      }
      const stopped = await database.run((on) => stopIdle.get(on, { session_id, now }))
      if (!stopped) continue
      const outcome = stopped.status === 'stopping' ? 'requested' : 'cancelled'
      return { session: stopped, run_id: null, outcome, changes: [] }
    }
  }

  return {
    get: async (session_id) => (await database.run((on) => get.get(on, { session_id }))) ?? null,

    async list({ limit, cursor }) {
      // One more than asked for tells whether there is a next page.
      const before = parseCursor(cursor).seq
      const rows = await database.run((on) => list.all(on, { before, limit: limit + 1 }))
      const listed = rows.slice(0, limit)
      const last = listed.at(-1)
      return {
        sessions: listed.map(({ seq: _, ...session }) => session),
        next_cursor: rows.length > limit && last ? cursorText(last) : null,
      }
    },

    bind: (session_id, binding, now) =>
      database.run(async (on) =>
        existing(await bind.get(on, { project_dir: null, ...binding, session_id, now })),
      ),

    update: (session_id, metadata, now) =>
      database.run(async (on) => {
        const { project_dir = null, agent_name = null, last_resumed_at = null } = metadata
        const { executor_session_id = null, executor_profile = null } = metadata
        const { executor_type = null, hostname = null } = metadata
        const row = await update.get(on, {
          ...{ project_dir, agent_name, last_resumed_at, executor_session_id, executor_profile },
          ...{ executor_type, hostname, session_id, now },
        })
        return existing(row)
      }),

    addEvent: ({ session_id, event_type, timestamp, ...payload }) =>
      database.run(async (on) => {
        const event = { session_id, event_type, timestamp, payload: json(payload) }
        if (!(await addSessionEvent(on, event))) throw sessionNotFound()
      }),

    events: (session_id) =>
      database.run(async (on) => {
        existing(await get.get(on, { session_id }))
        const events = await listEvents.all(on, { session_id })
        return events.map((event) => sessionEvent(session_id, event))
      }),

    result: (session_id) =>
      database.run(async (on) => resultOf(on, existing(await get.get(on, { session_id })))),

    stop,

    report: (session_id, runner_id, status, now, caller) =>
      database.run(async (on) => {
        const given = { session_id, runner_id, status, now, ...asCaller(caller) }
        if ((await report.run(on, given)) > 0) return
        await explainRefusal(on, runner_id, caller, now)
        if (!(await findRunner.get(on, { runner_id }))) {
          throw runnerNotRegistered()
        }
        existing(await get.get(on, { session_id }))
        throw sessionNotHeld(session_id, runner_id)
      }),

    delete: (session_id) =>
      database.run(async (on): Promise<DeletedSession> => {
        const deleted = await remove.get(on, { session_id })
        if (deleted) return deleted
        existing(await get.get(on, { session_id }))
        throw sessionAtWork()
      }),
  }
}
