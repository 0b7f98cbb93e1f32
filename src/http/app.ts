/** The HTTP API: routes on the queue. Nothing below knows HTTP. */
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { emptyHistogram, LATENCY_BOUNDS } from '../queue/histogram.ts'
import { agentRoutes } from './agents.ts'
import { mount } from './auth.ts'
import { dashboardRoutes, shellRoute } from './dashboard/routes.ts'
import type { Deps, Env } from './deps.ts'
import { docsRoutes } from './docs/routes.ts'
import { errorAnswer, methodNotAllowedAnswer, notFoundAnswer } from './errors.ts'
import { eventRoutes } from './events.ts'
import { metricsRoutes } from './metrics.ts'
import { RunEnds } from './run-ends.ts'
import { runnerRoutes } from './runner.ts'
import { runnersRoutes } from './runners.ts'
import { runRoutes } from './runs.ts'
import { sessionRoutes } from './sessions.ts'
import { sseRoutes } from './sse.ts'
import { SseStreams } from './sse-streams.ts'
import { WaitSlots } from './wait-slots.ts'
import { WaitingRunners } from './waiting-runners.ts'

export type App = Hono<Env>

export function createApp(deps: Deps): App {
  const app: App = new Hono()
  app.onError((error, c) => errorAnswer(error, c, deps.onError))
  // Asked only when nothing matched: as a middleware it would be in the way of every request.
  const otherMethod = methodNotAllowed({ app, onMethodNotAllowed: methodNotAllowedAnswer })
  app.notFound(async (c) => {
    c.res = notFoundAnswer(c)
    await otherMethod(c, async () => {})
    return c.res
  })
  if (deps.config.corsOrigins.length > 0) {
    const origin = deps.config.corsOrigins.includes('*') ? '*' : [...deps.config.corsOrigins]
    app.use(
      cors({
        origin,
        allowHeaders: ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID'],
      }),
    )
  }
  app.get('/health', (c) => c.json({ status: 'healthy' }))
  const { engine, closing, config } = deps
  const slots = new WaitSlots(config.maxWaiting)
  const waiting = new WaitingRunners(engine.changes, closing, slots)
  const polls = { waiting, claims: emptyHistogram(LATENCY_BOUNDS) }
  mount(app, '/runs', runRoutes(deps, new RunEnds(engine, closing, slots)), deps)
  mount(app, '/runner', runnerRoutes(deps, polls), deps)
  mount(app, '/runners', runnersRoutes(deps), deps)
  mount(app, '/sessions', sessionRoutes(deps), deps)
  mount(app, '/agents', agentRoutes(), deps)
  const streams = new SseStreams(deps, slots)
  mount(app, '/events', eventRoutes(deps, streams), deps)
  mount(app, '/sse', sseRoutes(deps, streams), deps)
  mount(app, '', docsRoutes(), deps)
  mount(app, '/', shellRoute(), deps)
  mount(app, '/dashboard', dashboardRoutes(deps), deps)
  mount(app, '/metrics', metricsRoutes(deps, polls), deps)
  return app
}
