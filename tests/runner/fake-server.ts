/**
 * A server that does what the test says: it records every call, and answers as scripted or, where
 * nothing is scripted, as a server at ease would. A poll waits until the test has something to say.
 */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type HttpBindings, serve } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import type { ClaimAnswer } from '../../src/client/index.ts'
import type { ClaimedRunView } from '../../src/http/views.ts'

export type Route =
  | 'register'
  | 'claim'
  | 'heartbeat'
  | 'started'
  | 'completed'
  | 'failed'
  | 'stopped'
  | 'session_status'
  | 'remove'
  /** At the start of each runner: it leaves in the name of the process before, and registers anew. */
  | 'settle'
  /** Called by the commands under test, to say that they have come this far. */
  | 'signal'

export interface Call {
  /** The run, session, runner or signal it is about; empty where there is none. */
  id: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the runner sent is what is tested
  body: any
}

/** A poll that waits. */
interface Poll {
  limit: number
  end(answer: ClaimAnswer): void
}

type FakeContext = Context<{ Bindings: HttpBindings }>
/** The answer to one call: a status, or `lost` (the call arrives, the connection breaks). */
type Script = number | 'lost' | ((call: Call) => Promise<Response> | Response)

export class FakeServer {
  readonly calls: { route: Route; call: Call }[] = []
  /** What came in the Authorization header; null where it was absent. */
  readonly authorizations = new Set<string | null>()
  heartbeat_interval_seconds = 60
  readonly #scripts = new Map<Route, Script[]>()
  readonly #watchers = new Set<() => void>()
  #node: Server | null = null
  #port = 0
  #polls: Poll[] = []

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Listens; after {@link close} again, on the same port. */
  async listen(): Promise<void> {
    const node = serve({ fetch: this.#app().fetch, hostname: '127.0.0.1', port: this.#port })
    this.#node = node as Server
    await once(this.#node, 'listening')
    this.#port = (this.#node.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#node?.closeAllConnections()
    this.#node?.close()
    if (this.#node?.listening) await once(this.#node, 'close')
    this.#polls = []
  }

  /** Answers the next calls of the route, in this order. */
  script(route: Route, ...scripts: Script[]): void {
    this.#scripts.set(route, [...(this.#scripts.get(route) ?? []), ...scripts])
  }

  of(route: Route): Call[] {
    return this.calls.filter((each) => each.route === route).map((each) => each.call)
  }

  /** Waits for the call of the route with this number, counted from 1. */
  async call(route: Route, number = 1): Promise<Call> {
    const found = () => this.of(route)[number - 1]
    for (;;) {
      const call = found()
      if (call !== undefined) return call
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  /**
   * Ends the newest poll that waits, once there is one with room for the runs of the answer:
   * older ones were given up, though the news of that may still be on its way.
   */
  async answerPoll(answer: Partial<ClaimAnswer>): Promise<void> {
    for (;;) {
      const poll = this.#polls.findLast((each) => each.limit >= (answer.runs?.length ?? 0))
      if (poll !== undefined) return poll.end({ ...NOTHING, ...answer })
      await new Promise<void>((resolve) => this.#watchers.add(resolve))
    }
  }

  #app(): Hono<{ Bindings: HttpBindings }> {
    const app = new Hono<{ Bindings: HttpBindings }>()
    const route = (
      method: 'post' | 'delete',
      path: string,
      name: (c: FakeContext) => Route,
      atEase: (c: FakeContext, call: Call) => Response | Promise<Response>,
    ) =>
      app[method](path, async (c) => {
        const named = name(c)
        if (named !== 'signal') this.authorizations.add(c.req.header('authorization') ?? null)
        const text = await c.req.text()
        const call = { id: c.req.param('id') ?? '', body: text === '' ? null : JSON.parse(text) }
        const script = this.#scripts.get(named)?.shift()
        const answer = script === undefined ? atEase(c, call) : play(c, script, call)
        this.#record(named, call)
        return answer
      })
    const ok = (c: FakeContext) => c.json({ ok: true })
    route(
      'post',
      '/runner/register',
      () => (this.#settling === 'leave' ? 'register' : this.#settled('register')),
      (c) =>
        c.json({
          runner_id: 'lnch_fake',
          poll_endpoint: '/runner/runs',
          poll_timeout_seconds: 30,
          heartbeat_interval_seconds: this.heartbeat_interval_seconds,
        }),
    )
    route(
      'post',
      '/runner/runs/claim',
      () => 'claim',
      (c, call) => this.#wait(c, call),
    )
    route('post', '/runner/heartbeat', () => 'heartbeat', ok)
    route('post', '/runner/runs/:id/:report', (c) => c.req.param('report') as Route, ok)
    route('post', '/runner/sessions/:id/status', () => 'session_status', ok)
    const leaving = () => (this.#settling === 'leave' ? this.#settled('leave') : 'remove')
    route('delete', '/runners/:id', leaving, ok)
    route('post', '/signal/:id', () => 'signal', ok)
    return app
  }

  /** Which step of the settling is still to come. */
  #settling: 'leave' | 'register' | null = 'leave'

  #settled(step: 'leave' | 'register'): Route {
    if (step === 'register' && this.#settling === null) return 'register'
    const isRefused = (this.#scripts.get('settle')?.length ?? 0) > 0
    if (!isRefused) this.#settling = step === 'leave' ? 'register' : null
    return 'settle'
  }

  #record(route: Route, call: Call): void {
    this.calls.push({ route, call })
    this.#changed()
  }

  #changed(): void {
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const watcher of watchers) watcher()
  }

  #wait(c: FakeContext, call: Call): Promise<Response> {
    return new Promise((resolve) => {
      const poll: Poll = {
        limit: call.body.limit,
        end: (answer) => {
          this.#polls = this.#polls.filter((each) => each !== poll)
          resolve(c.json(answer))
        },
      }
      this.#polls.push(poll)
      c.env.outgoing.once('close', () => poll.end(NOTHING))
    })
  }
}

const NOTHING: ClaimAnswer = { runs: [], stop_runs: [], stop_sessions: [], deregistered: false }

function play(c: FakeContext, script: Script, call: Call): Response | Promise<Response> {
  if (typeof script === 'function') return script(call)
  if (script === 'lost') {
    c.env.incoming.socket.destroy()
    return c.body(null)
  }
  const body = { detail: `scripted ${script}`, code: 'scripted', message: `scripted ${script}` }
  return c.json(script < 300 ? { ok: true } : body, script as 200)
}

let count = 0

/** A claimed run of which only what matters needs to be said. */
export function claimedRun(run: Partial<ClaimedRunView> = {}): ClaimedRunView {
  count++
  const prompt = run.prompt ?? 'hello'
  return {
    run_id: `run_${count}`,
    session_id: `ses_${count}`,
    type: 'start_session',
    agent_name: null,
    prompt,
    parameters: { prompt },
    project_dir: null,
    parent_session_id: null,
    execution_mode: 'sync',
    demands: null,
    priority: 0,
    status: 'claimed',
    runner_id: 'lnch_fake',
    error: null,
    result: null,
    attempt: 1,
    max_attempts: 1,
    retry_delay_seconds: null,
    on_lost: 'fail',
    created_at: '2026-01-31T12:00:00.000Z',
    claimed_at: '2026-01-31T12:00:00.000Z',
    started_at: null,
    completed_at: null,
    available_at: null,
    timeout_at: null,
    scope: null,
    resolved_agent_blueprint: null,
    claim_token: `token_${count}`,
    traceparent: null,
    ...run,
  }
}
