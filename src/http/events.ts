/** GET /events: what happens to runs, as it happens. */
import { Hono } from 'hono'
import { QueueError } from '../queue/errors.ts'
import type { LiveRunEvent } from '../queue/run-event.ts'
import { LIVE } from './api/live.ts'
import { readHeaders, readQuery } from './body.ts'
import type { Deps, Env } from './deps.ts'
import { SseFeed } from './sse-feed.ts'
import { frameOf, lastEventId } from './sse-frame.ts'
import type { SseStreams } from './sse-streams.ts'

const description = LIVE['GET /events']

export function eventRoutes({ engine }: Deps, streams: SseStreams): Hono<Env> {
  const app = new Hono<Env>()
  const feed = new SseFeed<LiveRunEvent>({
    changes: engine.changes,
    feed: engine.runFeed,
    concerns: ({ runs }) => runs.length > 0,
    frame: ({ place, item }) => frameOf(place, item.to_status, item),
  })

  app.get('/', async (c) => {
    const { run_id, session_id, status, last_event_id } = readQuery(c, description.query)
    if (run_id !== undefined && (await engine.runs.get(run_id)) === null) {
      throw new QueueError('run_not_found', 'Run not found')
    }
    const wants = (event: LiveRunEvent) =>
      (run_id === undefined || event.run_id === run_id) &&
      (session_id === undefined || event.session_id === session_id) &&
      (status === undefined || status.includes(event.to_status))
    const from = lastEventId(readHeaders(c, description.headers)['Last-Event-ID'], last_event_id)
    return await streams.open(c, { route: 'GET /events', feed, wants, from })
  })

  return app
}
