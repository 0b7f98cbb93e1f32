/** /sessions: what clients and executors do with sessions. */
import { Hono } from 'hono'
import { QueueError } from '../queue/errors.ts'
import type { Session } from '../queue/session.ts'
import type { SessionStop } from '../queue/sessions.ts'
import { SESSIONS } from './api/sessions.ts'
import { pathId, readBody, readQuery } from './body.ts'
import type { Deps, Env } from './deps.ts'
import { RequestError } from './errors.ts'
import { tell, tellChanges } from './requests.ts'
import { sessionView } from './views.ts'

export function sessionRoutes({ engine, now, log }: Deps): Hono<Env> {
  const { sessions } = engine
  const app = new Hono<Env>()

  app.get('/', async (c) => {
    const page = await sessions.list(readQuery(c, SESSIONS['GET /sessions'].query))
    return c.json({ sessions: page.sessions.map(sessionView), next_cursor: page.next_cursor })
  })

  app.get('/:session_id', async (c) => {
    const session = existing(await sessions.get(pathId(c, 'session_id')))
    return c.json({ session: sessionView(session) })
  })

  app.get('/:session_id/status', async (c) => {
    const session = await sessions.get(pathId(c, 'session_id'))
    return c.json({ status: session?.status ?? 'not_existent' })
  })

  app.get('/:session_id/result', async (c) => {
    const { result_text, result_data } = await sessions.result(pathId(c, 'session_id'))
    // `result` is what clients of the older generation read.
    return c.json({ result_text, result_data, result: result_text ?? '' })
  })

  app.get('/:session_id/affinity', async (c) => {
    const session = existing(await sessions.get(pathId(c, 'session_id')))
    const { session_id, hostname, project_dir, executor_profile } = session
    return c.json({ affinity: { session_id, hostname, project_dir, executor_profile } })
  })

  app.post('/:session_id/bind', async (c) => {
    const session_id = pathId(c, 'session_id')
    const body = await readBody(c, SESSIONS['POST /sessions/:session_id/bind'].body)
    const { executor_session_id, hostname, project_dir = null } = body
    const { executor_profile = null, executor_type = null } = body
    const binding = { executor_session_id, hostname, executor_profile, executor_type, project_dir }
    const session = await sessions.bind(session_id, binding, now())
    return c.json({ ok: true, session: sessionView(session) })
  })

  app.post('/:session_id/events', async (c) => {
    const session_id = pathId(c, 'session_id')
    const event = await readBody(c, SESSIONS['POST /sessions/:session_id/events'].body, {
      lenient: true,
    })
    if (event.session_id !== session_id) {
      throw new RequestError(
        400,
        'session_id_mismatch',
        'Event session_id must match URL session_id',
      )
    }
    await sessions.addEvent(withoutNulls(event))
    return c.json({ ok: true }, 201)
  })

  app.get('/:session_id/events', async (c) =>
    c.json({ events: await sessions.events(pathId(c, 'session_id')) }),
  )

  app.patch('/:session_id/metadata', async (c) => {
    const session_id = pathId(c, 'session_id')
    const session = await sessions.update(
      session_id,
      await readBody(c, SESSIONS['PATCH /sessions/:session_id/metadata'].body),
      now(),
    )
    return c.json({ ok: true, session: sessionView(session) })
  })

  app.post('/:session_id/stop', async (c) => {
    const session_id = pathId(c, 'session_id')
    const stop = await sessions.stop(session_id, now(), c.get('caller'))
    const { run_id, outcome } = stop
    tellChanges(c, log, stop.changes)
    // Of one that no run is active in there is no other line.
    if (run_id === null && (outcome === 'cancelled' || outcome === 'requested')) {
      tell(c, log, `stop of a session ${outcome}`, { session_id })
    }
    return c.json(stopAnswer(stop))
  })

  app.delete('/:session_id', async (c) => {
    const session_id = pathId(c, 'session_id')
    const deleted = await sessions.delete(session_id)
    tell(c, log, 'session deleted', { session_id, ...deleted })
    return c.json({ ok: true, session_id, deleted: { session: true, ...deleted } })
  })

  return app
}

function existing(session: Session | null): Session {
  if (!session) throw new QueueError('session_not_found', 'Session not found')
  return session
}

function stopAnswer({ session, run_id, outcome }: SessionStop) {
  const { session_id, status } = session
  const answer = { ok: true, session_id, ...(run_id ? { run_id } : {}), status }
  switch (outcome) {
    case 'ended':
      return { ...answer, message: `Session already ${status}` }
    case 'asked_before':
      return { ...answer, message: 'Session is already being stopped' }
    case 'cancelled':
      return {
        ...answer,
        message: run_id ? 'Run cancelled before execution' : 'Session marked as stopped',
      }
    case 'requested':
      return run_id ? answer : { ...answer, message: 'Stop command queued for idle session' }
  }
}

type Present<T> = { [K in keyof T]: NonNullable<T[K]> }

/** Absent and null mean the same; only what is there is stored. */
function withoutNulls<T extends object>(value: T): Present<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== null && member !== undefined),
  ) as Present<T>
}
