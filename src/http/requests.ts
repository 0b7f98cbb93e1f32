/**
 * What is known of each request while it is answered, for the log and for traces: its id, and whom
 * and what it is about. Never what it says: prompts, results and tokens are in no line.
 */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import type { Logger } from 'pino'
import type { App } from './app.ts'
import type { Env } from './deps.ts'

export type Log = Pick<Logger, 'isLevelEnabled' | 'info' | 'debug' | 'trace'>

export interface RequestFacts {
  request_id: string
  /** As `ACCESS` names it; undefined where no route matched. */
  route?: string
  run_id?: string
  runner_id?: string
  /** A poll that found nothing, which there are without end. */
  vain?: boolean
}

type Bindings = Env['Bindings']

/** Letters and what ids are made of: nothing that could be taken for something else in a log. */
const SANE_ID = /^[\w.:/+=@-]{1,128}$/

/** Answers requests, each with its id, and tells the log of them. */
export function serveRequests(app: App, log: Log) {
  return (request: Request, env: Bindings): Response | Promise<Response> => {
    const given = env.incoming?.headers['x-request-id']
    const request_id = typeof given === 'string' && SANE_ID.test(given) ? given : randomUUID()
    const facts: RequestFacts = { request_id }
    env.facts = facts
    // On Node's own answer, which all go out by, refused ones too.
    env.outgoing?.setHeader('x-request-id', request_id)
    if (!log.isLevelEnabled('debug')) return app.fetch(request, env)
    return logged(app, log, request, env, facts)
  }
}

async function logged(app: App, log: Log, request: Request, env: Bindings, facts: RequestFacts) {
  const began = performance.now()
  const answer = await app.fetch(request, env)
  const { vain, ...about } = facts
  const ms = Math.round((performance.now() - began) * 10) / 10
  const line = { method: request.method, path: pathOf(request.url), status: answer.status, ms }
  log[vain ? 'trace' : 'debug']({ ...about, ...line }, 'request')
  return answer
}

/** Without the query. */
const pathOf = (url: string): string => new URL(url).pathname.slice(0, 200)

/** Notes whom and what a request is about. */
export function note(c: Context<Env>, facts: Omit<RequestFacts, 'request_id'>): void {
  if (c.env?.facts) Object.assign(c.env.facts, facts)
}

/** Tells the log of a change that this process made. */
export function tell(
  c: Context<Env>,
  log: Log,
  what: string,
  facts: Record<string, unknown>,
): void {
  log.info({ request_id: c.env?.facts?.request_id, ...facts }, what)
}
