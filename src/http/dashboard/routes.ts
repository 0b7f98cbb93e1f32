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
import { assets, etagOf } from './assets.ts'
import { secure } from './headers.ts'
import type { SeenRunner } from './runners.tsx'
import { overviewQuery, pageQuery, runsQuery } from './schemas.ts'

type Views = typeof import('./views.ts')
const loadViews = (): Promise<Views> => import('./views.ts')

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

  async function fragment(c: Context<Env>, show: (views: Views) => Promise<JSX.Element>) {
    const view = await show(await loadViews())
    secure(c)
    c.header('Cache-Control', 'no-store')
    // So that times are right on a machine whose clock is not.
    c.header('X-Now', now())
    return c.html(view)
  }

  app.get('/fragments/overview', (c) =>
    fragment(c, async ({ overviewView }) => {
      const { span } = readQuery(c, overviewQuery)
      return overviewView(engine, await runners(), span)
    }),
  )
  app.get('/fragments/activity', (c) =>
    fragment(c, async ({ activityPart }) => {
      const { span } = readQuery(c, overviewQuery)
      return activityPart(engine, span, now())
    }),
  )
  app.get('/fragments/runs', (c) =>
    fragment(c, async ({ runsView }) => {
      const query = readQuery(c, runsQuery)
      return runsView(engine, await runners(), query)
    }),
  )
  app.get('/fragments/runs/:run_id', (c) =>
    fragment(c, async ({ runPage }) =>
      runPage(engine, await runners(), pathId(c, 'run_id'), terms, now()),
    ),
  )
  app.get('/fragments/sessions', (c) =>
    fragment(c, async ({ sessionsView }) => {
      const { cursor } = readQuery(c, pageQuery)
      return sessionsView(engine, cursor)
    }),
  )
  app.get('/fragments/sessions/:session_id', (c) =>
    fragment(c, async ({ sessionView }) => {
      const { cursor } = readQuery(c, pageQuery)
      const session_id = pathId(c, 'session_id')
      return sessionView(engine, await runners(), session_id, cursor)
    }),
  )
  app.get('/fragments/runners', (c) =>
    fragment(c, async ({ runnersView }) => runnersView(engine, await runners())),
  )
  app.get('/fragments/runners/:runner_id', (c) =>
    fragment(c, async ({ runnerPage }) => {
      const runner = await engine.runners.get(pathId(c, 'runner_id'))
      return runnerPage(engine, runner && seen(runner), terms, now())
    }),
  )

  return app
}

async function shell(c: Context<Env>) {
  const { shellPage } = await loadViews()
  const html = shellPage(assets().version)
  const etag = etagOf(html)
  secure(c)
  c.header('ETag', etag)
  c.header('Cache-Control', 'no-cache')
  return c.req.header('if-none-match') === etag ? c.body(null, 304) : c.html(html)
}
