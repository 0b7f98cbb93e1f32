/**
 * The dashboard. Its pages are one open shell that holds no data; a module in it fetches the views,
 * which this server renders, with the token as any client sends it, and swaps them in.
 *
 * So there is no cookie, which a browser would send by itself for any site that asks (no CSRF), and
 * one way in, which `auth.ts` guards. The token lives in the tabs' sessionStorage and goes with them. That
 * any script of the page could read it is met by the page having none but its own files (headers.ts).
 * As long as there are no tokens none is asked for, and other sites' pages are refused as ever.
 */
import { type Context, Hono } from 'hono'
import type { JSX } from 'hono/jsx/jsx-runtime'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import type { Runner } from '../../queue/runner.ts'
import { pathId, readQuery } from '../body.ts'
import { type Deps, type Env, termsOf } from '../deps.ts'
import { notFoundAnswer } from '../errors.ts'
import { runnerView } from '../views.ts'
import { activityPart } from './activity.tsx'
import { assets, etagOf } from './assets.ts'
import { secure } from './headers.ts'
import { overviewView } from './overview.tsx'
import { runPage } from './run.tsx'
import { runnerPage } from './runner.tsx'
import { runnersView, type SeenRunner } from './runners.tsx'
import { runsView } from './runs.tsx'
import { overviewQuery, pageQuery, runsQuery } from './schemas.ts'
import { sessionsView, sessionView } from './sessions.tsx'
import { Shell } from './shell.tsx'

/** The pages, by their addresses; `/` is mounted apart. */
const PAGES = [
  '/runs',
  '/runs/:run_id',
  '/sessions',
  '/sessions/:session_id',
  '/runners',
  '/runners/:runner_id',
] as const

export function shellRoute(): Hono<Env> {
  return new Hono<Env>().get('/', shell)
}

export function dashboardRoutes(deps: Deps): Hono<Env> {
  const { engine, config, now } = deps
  const terms = termsOf(deps)
  const app = new Hono<Env>()
  for (const path of PAGES) app.get(path, shell)

  app.get('/assets/:version/:name', (c) => {
    const { version, files } = assets()
    const file = files.get(c.req.param('name'))
    if (!file || c.req.param('version') !== version) return notFoundAnswer(c)
    secure(c)
    c.header('ETag', file.etag)
    c.header('Cache-Control', 'public, max-age=31536000, immutable')
    if (c.req.header('if-none-match') === file.etag) return c.body(null, 304)
    return c.body(file.bytes, 200, { 'Content-Type': file.type })
  })

  const seen = (runner: Runner): SeenRunner => ({
    ...runnerView(runner, now(), config.staleThresholdSeconds),
    deregistered_at: runner.deregistered_at,
  })
  const runners = async () => (await engine.runners.list(LIST_LIMIT)).map(seen)

  function fragment(c: Context<Env>, view: JSX.Element) {
    secure(c)
    c.header('Cache-Control', 'no-store')
    // So that times are right on a machine whose clock is not.
    c.header('X-Now', now())
    return c.html(view)
  }

  app.get('/fragments/overview', async (c) => {
    const { span } = readQuery(c, overviewQuery)
    return fragment(c, await overviewView(engine, await runners(), span))
  })
  app.get('/fragments/activity', async (c) => {
    const { span } = readQuery(c, overviewQuery)
    return fragment(c, await activityPart(engine, span, now()))
  })
  app.get('/fragments/runs', async (c) => {
    const query = readQuery(c, runsQuery)
    return fragment(c, await runsView(engine, await runners(), query))
  })
  app.get('/fragments/runs/:run_id', async (c) =>
    fragment(c, await runPage(engine, await runners(), pathId(c, 'run_id'), terms, now())),
  )
  app.get('/fragments/sessions', async (c) => {
    const { cursor } = readQuery(c, pageQuery)
    return fragment(c, await sessionsView(engine, cursor))
  })
  app.get('/fragments/sessions/:session_id', async (c) => {
    const { cursor } = readQuery(c, pageQuery)
    const session_id = pathId(c, 'session_id')
    return fragment(c, await sessionView(engine, await runners(), session_id, cursor))
  })
  app.get('/fragments/runners', async (c) =>
    fragment(c, await runnersView(engine, await runners())),
  )
  app.get('/fragments/runners/:runner_id', async (c) => {
    const runner = await engine.runners.get(pathId(c, 'runner_id'))
    return fragment(c, await runnerPage(engine, runner && seen(runner), terms, now()))
  })

  return app
}

function shell(c: Context<Env>) {
  const html = `<!doctype html>${String(<Shell version={assets().version} />)}`
  const etag = etagOf(html)
  secure(c)
  c.header('ETag', etag)
  c.header('Cache-Control', 'no-cache')
  return c.req.header('if-none-match') === etag ? c.body(null, 304) : c.html(html)
}
