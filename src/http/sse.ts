/** GET /sse/sessions: what happens to sessions, as it happens, in the form that existing clients know. */
import { Hono } from 'hono'
import { QueueError } from '../queue/errors.ts'
import { LIST_LIMIT } from '../queue/run-queue.ts'
import type { SessionChange, SessionChangeKind } from '../queue/session-change.ts'
import { LIVE } from './api/live.ts'
import { readHeaders, readQuery } from './body.ts'
import type { Deps, Env } from './deps.ts'
import { SseFeed } from './sse-feed.ts'
import { frameOf, lastEventId } from './sse-frame.ts'
import type { SseStreams } from './sse-streams.ts'
import { sessionView } from './views.ts'

/** How each kind shows in the id of its frame. */
const ABBREVIATIONS: Record<SessionChangeKind | 'init', string> = {
  init: 'ini',
  session_created: 'scr',
  session_updated: 'sup',
  session_deleted: 'sdl',
  event: 'evt',
  run_failed: 'rfl',
}
const ID = new RegExp(`^\\d{13}-(?:${Object.values(ABBREVIATIONS).join('|')})-(\\d{3,15})$`)

/** `1738324800000-sup-042`: when, what, and its place among all. */
const idOf = (at: string, kind: keyof typeof ABBREVIATIONS, place: string): string =>
  `${String(Date.parse(at)).padStart(13, '0')}-${ABBREVIATIONS[kind]}-${place.padStart(3, '0')}`

/** @throws QueueError unknown_event_id */
function placeOf(id: string): string {
  const [, place] = ID.exec(id) ?? []
  if (place !== undefined) return String(Number(place))
  throw new QueueError('unknown_event_id', 'Last-Event-ID must be the id of a frame of this stream')
}

const description = LIVE['GET /sse/sessions']

export function sseRoutes({ engine, now }: Deps, streams: SseStreams): Hono<Env> {
  const app = new Hono<Env>()
  const feed = new SseFeed<SessionChange>({
    changes: engine.changes,
    feed: engine.sessionFeed,
    concerns: ({ sessions }) => sessions,
    renew: () => engine.sessionFeed.keep(now()),
    frame: ({ place, item: { at, kind, data } }) => frameOf(idOf(at, kind, place), kind, data),
  })

  /**
   * The sessions that there are: the newest so many, for one frame is held whole, here and by whoever
   * reads it. Older ones are in GET /sessions, page by page; what changes in them is told as in others.
   */
  async function init(session_id: string | undefined, place: string): Promise<Uint8Array> {
    const { sessions } = engine
    const listed =
      session_id === undefined
        ? (await sessions.list({ limit: LIST_LIMIT })).sessions
        : [await sessions.get(session_id)].filter((session) => session !== null)
    return frameOf(idOf(now(), 'init', place), 'init', { sessions: listed.map(sessionView) })
  }

  app.get('/sessions', async (c) => {
    const { session_id, include_init, last_event_id } = readQuery(c, description.query)
    const id = lastEventId(readHeaders(c, description.headers)['Last-Event-ID'], last_event_id)
    const place = id === null ? null : placeOf(id)
    await engine.sessionFeed.keep(now())
    // Something is missing between: it begins anew, unless it wants what there is all the same.
    const begins =
      place === null || (include_init === 'true' && !(await engine.sessionFeed.isWhole(place)))
    return await streams.open(c, {
      route: 'GET /sse/sessions',
      feed,
      wants: (change) => session_id === undefined || change.session_id === session_id,
      from: begins ? null : place,
      ...(include_init === 'true' && { first: (at: string) => init(session_id, at) }),
    })
  })

  return app
}
