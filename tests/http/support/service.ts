/** The API on a port, with a database for one test, and the steps that most tests begin with. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import pino from 'pino'
import { afterAll, expect, onTestFinished } from 'vitest'
import { type App, createApp } from '../../../src/http/app.ts'
import type { Deps } from '../../../src/http/deps.ts'
import { serveRequests } from '../../../src/http/requests.ts'
import type { ClaimedRunView, RunView } from '../../../src/http/views.ts'
import type { Engine } from '../../../src/queue/engine.ts'
import type { Session } from '../../../src/queue/session.ts'
import type { EngineFixture, OpenFixture } from '../../conformance/fixture.ts'
import { type Clock, fakeClock } from '../../support/clock.ts'
import { type Answer, type Api, apiOf, type Body } from './api.ts'
import { observeAnswers } from './described.ts'

export interface Added {
  run_id: string
  session_id: string
  status: string
  matching_runners: number
}

export interface Claimed {
  runs: ClaimedRunView[]
  stop_runs: string[]
  stop_sessions: string[]
  deregistered: boolean
}

export interface Held {
  runner_id: string
  run: ClaimedRunView
}

export interface Service extends Api {
  url: string
  app: App
  server: Server
  engine: Engine
  clock: Clock
  /** What a person would find in the log; a test fails if it leaves something here. */
  errors: unknown[]
  /** What the log was told. */
  lines: LogLine[]
  /**
   * Begins something that polls, and resolves when the poll has looked in vain and waits, which
   * nothing in the API tells. The answer is in an object, since it is not yet to be awaited.
   */
  waiting<T>(begin: () => T): Promise<{ answer: T }>
  /** Another server on the same database, as another process would be. */
  another(options?: ServiceOptions): Promise<Service>
  /** Aborts as SIGTERM begins: whoever waits is answered. */
  closing: AbortSignal
  leave(): void
  close(): Promise<void>

  register(facts?: Body): Promise<string>
  addRun(facts?: Body): Promise<Added>
  poll<T = Body>(runner_id: string, init?: RequestInit): Promise<Answer<T>>
  claim(runner_id: string, facts?: Body, init?: RequestInit): Promise<Claimed>
  /** A run that a runner has claimed: a new one of both, unless the runner is given. */
  hold(run?: Body, runner_id?: string): Promise<Held>
  /** A run that its runner has begun. */
  begin(run?: Body, runner_id?: string): Promise<Held>
  report(what: string, held: Held, facts?: Body): Promise<Answer>
  run(run_id: string): Promise<RunView>
  session(session_id: string): Promise<Session>
  runs(query?: string): Promise<RunView[]>
  /** Everything that requests can leave behind. */
  everything(): Promise<unknown>
}

type LogLine = Record<string, unknown> & { msg: string; level: number }

interface ServiceOptions {
  logLevel?: string
  config?: Partial<Deps['config']>
  streamLimits?: Deps['streamLimits']
  /** Puts something between the API and the engine. */
  wrap?: (engine: Engine) => Engine
}

/** Calls back when the service is no longer needed; the last that is given first. */
type AtEnd = (callback: () => Promise<void>) => void

export type Setup = (options?: ServiceOptions, atEnd?: AtEnd) => Promise<Service>

export const setupOf =
  (openFixture: OpenFixture): Setup =>
  async (options, atEnd = onTestFinished) => {
    const fixture = await openFixture()
    atEnd(() => fixture.cleanup())
    return await serve({ fixture, clock: fakeClock(), atEnd }, options)
  }

/** One service for tests that look, or are refused: to set up one for each costs more than they do. */
export function shared(setup: Setup): () => Promise<Service> {
  const callbacks: (() => Promise<void>)[] = []
  let service: Promise<Service> | undefined
  afterAll(async () => {
    for (const callback of callbacks.reverse()) await callback()
  })
  return () => {
    service ??= setup({}, (callback) => callbacks.push(callback))
    return service
  }
}

const CONFIG: Deps['config'] = {
  claimTimeoutSeconds: 60,
  corsOrigins: [],
  heartbeatIntervalSeconds: 60,
  host: '127.0.0.1',
  maxPending: null,
  maxWaiting: 1000,
  noMatchTimeoutSeconds: 300,
  // Polls that find nothing are over at once, unless a test wants to wait.
  pollTimeoutSeconds: 0.02,
  removeThresholdSeconds: 600,
  runRateBurst: 1,
  runRateLimit: 0,
  staleThresholdSeconds: 120,
}

interface Surroundings {
  fixture: EngineFixture
  clock: Clock
  atEnd: AtEnd
}

async function serve(given: Surroundings, options: ServiceOptions = {}): Promise<Service> {
  const { fixture, clock, atEnd } = given
  const engine = await fixture.open()
  const { engine: observed, waiting } = observeLooks(options.wrap?.(engine) ?? engine)
  const errors: unknown[] = []
  const lines: LogLine[] = []
  const log = pino(
    { level: options.logLevel ?? 'trace', base: null },
    { write: (line) => lines.push(JSON.parse(line)) },
  )
  const closing = new AbortController()
  const app = createApp({
    engine: observed,
    config: { ...CONFIG, ...options.config },
    ...(options.streamLimits && { streamLimits: options.streamLimits }),
    now: clock.now,
    closing: closing.signal,
    onError: (error) => errors.push(error),
    log,
  })
  const answer = serveRequests(app, log)
  const server = createAdaptorServer({
    fetch: (request, env) => answer(request, env as HttpBindings),
  }) as Server
  const undescribed = observeAnswers(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  let open = true
  async function close(): Promise<void> {
    if (!open) return
    open = false
    closing.abort()
    const closed = new Promise((resolve) => server.close(resolve))
    // Polls that a test left waiting are answered first; what clients opened ahead is cut.
    const idle = setInterval(() => server.closeIdleConnections(), 5)
    const cut = setTimeout(() => server.closeAllConnections(), 100)
    await closed
    clearInterval(idle)
    clearTimeout(cut)
    await engine.close()
  }
  atEnd(async () => {
    await close()
    expect(errors).toEqual([])
    expect(undescribed).toEqual([])
  })

  const api = apiOf(url)
  return {
    ...api,
    ...stepsOf(api),
    ...{ url, app, server, engine, clock, errors, lines, waiting, close, closing: closing.signal },
    another: (others) => serve(given, others),
    leave: () => closing.abort(),
  }
}

/** A poll looks once, enters the list of those who wait, and looks again before it does. */
const LOOKS_BEFORE_WAITING = 2

function observeLooks(engine: Engine) {
  const { runs } = engine
  let looks = 0
  const observed: Engine = {
    ...engine,
    runs: {
      ...runs,
      poll: (...args) =>
        runs.poll(...args).finally(() => {
          looks += 1
        }),
    },
  }
  async function waiting<T>(begin: () => T): Promise<{ answer: T }> {
    const enough = looks + LOOKS_BEFORE_WAITING
    const answer = begin()
    await expect.poll(() => looks, { interval: 2 }).toBeGreaterThanOrEqual(enough)
    return { answer }
  }
  return { engine: observed, waiting }
}

function stepsOf(api: Api) {
  async function wanted<T>(status: number, answering: Promise<Answer<T>>): Promise<T> {
    const answer = await answering
    expect(answer).toMatchObject({ status })
    return answer.body
  }

  async function register(facts: Body = {}): Promise<string> {
    const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
    const body = { ...runner, ...facts }
    const { runner_id } = await wanted(
      200,
      api.post<{ runner_id: string }>('/runner/register', body),
    )
    return runner_id
  }

  const addRun = (facts: Body = {}) =>
    wanted(201, api.post<Added>('/runs', { type: 'start_session', prompt: 'hello', ...facts }))

  const poll = <T = Body>(runner_id: string, init?: RequestInit) =>
    api.get<T>(`/runner/runs?runner_id=${runner_id}`, init)

  const claim = (runner_id: string, facts: Body = {}, init?: RequestInit) =>
    wanted(200, api.post<Claimed>('/runner/runs/claim', { runner_id, ...facts }, init))

  async function hold(facts?: Body, by?: string): Promise<Held> {
    const runner_id = by ?? (await register())
    const { run_id } = await addRun(facts)
    const [run] = (await claim(runner_id)).runs
    if (run?.run_id !== run_id) throw new Error('another pending run was claimed first')
    return { runner_id, run }
  }

  async function begin(facts?: Body, by?: string): Promise<Held> {
    const held = await hold(facts, by)
    await wanted(200, report('started', held))
    return held
  }

  const report = (what: string, { run, runner_id }: Held, facts: Body = {}) =>
    api.post(`/runner/runs/${run.run_id}/${what}`, { runner_id, ...facts })

  const run = (run_id: string) => wanted(200, api.get<RunView>(`/runs/${run_id}`))

  async function session(session_id: string): Promise<Session> {
    const path = `/sessions/${session_id}`
    return (await wanted(200, api.get<{ session: Session }>(path))).session
  }

  async function runs(query = 'limit=1000'): Promise<RunView[]> {
    return (await wanted(200, api.get<{ runs: RunView[] }>(`/runs?${query}`))).runs
  }

  const everything = async () => ({
    runs: await wanted(200, api.get('/runs?limit=1000')),
    sessions: await wanted(200, api.get('/sessions')),
    runners: await wanted(200, api.get('/runners')),
  })

  return { register, addRun, poll, claim, hold, begin, report, run, session, runs, everything }
}
