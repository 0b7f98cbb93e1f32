/**
 * What is known of each request while it is answered, for the log and for traces: its id, and whom
 * and what it is about. Never what it says: prompts, results and tokens are in no line and no span.
 */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import type { Logger } from 'pino'
import { logChanges } from '../change-log.ts'
import type { RunChange } from '../queue/run-change.ts'
import { parseTraceparent } from '../queue/traceparent.ts'
import type { RequestSpan, Tracing } from '../tracing/tracing.ts'
import type { App } from './app.ts'
import type { Env } from './deps.ts'

export type Log = Pick<Logger, 'isLevelEnabled' | 'info' | 'debug'>

export interface RequestFacts {
  request_id: string
  /** As `ACCESS` names it; undefined where no route matched. */
  route?: string
  run_id?: string
  runner_id?: string
  /** A poll that found nothing, which there are without end. */
  vain?: boolean
  /** Where requests are traced. */
  span?: RequestSpan
}

type Bindings = Env['Bindings']

/** Letters and what ids are made of: nothing that could be taken for something else in a log. */
const SANE_ID = /^[\w.:/+=@-]{1,128}$/

/** Answers requests, each with its id, and tells the log and the traces of them. */
export function serveRequests(app: App, log: Log, tracing: Tracing | null = null) {
  return (request: Request, env: Bindings): Response | Promise<Response> => {
    const given = env.incoming?.headers['x-request-id']
    const request_id = typeof given === 'string' && SANE_ID.test(given) ? given : randomUUID()
    const facts: RequestFacts = { request_id }
    env.facts = facts
    // On Node's own answer, which all go out by, refused ones too.
    env.outgoing?.setHeader('x-request-id', request_id)
    if (tracing) facts.span = tracing.begin(parseTraceparent(traceparentOf(env)))
    else if (!log.isLevelEnabled('info')) return app.fetch(request, env)
    return observed(app, log, request, env, facts)
  }
}

const traceparentOf = ({ incoming }: Bindings): string | undefined => {
  const given = incoming?.headers['traceparent']
  return typeof given === 'string' ? given : undefined
}

async function observed(
  app: App,
  log: Log,
  request: Request,
  env: Bindings,
  facts: RequestFacts,
): Promise<Response> {
  const began = performance.now()
  const answer = await app.fetch(request, env)
  const { vain = false, span, ...about } = facts
  const { method } = request
  const line = { ...about, method, path: pathOf(request.url), status: answer.status }
  const ms = Math.round((performance.now() - began) * 10) / 10
  log[vain ? 'debug' : 'info']({ ...line, ms }, 'request')
  if (!vain) span?.end(line)
  return answer
}

/** Without the query, of an absolute URL; parsing it whole would take longer than all of the line. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('//') + 2)
  const [path = ''] = url.slice(start, start + 200).split(/[?#]/, 1)
  return path
}

/** Notes whom and what a request is about. */
export function note(c: Context<Env>, facts: Omit<RequestFacts, 'request_id'>): void {
  if (c.env?.facts) Object.assign(c.env.facts, facts)
}

/** The trace context of what comes of a request: its own where it is traced, else its caller's. */
export function traceparentFor(c: Context<Env>): string | null {
  return c.env?.facts?.span?.traceparent() ?? parseTraceparent(c.req.header('traceparent'))
}

/** Tells the log of changes of runs. */
export function tellChanges(
  c: Context<Env>,
  log: Log,
  changes: readonly RunChange[],
  facts: Record<string, unknown> = {},
): void {
  logChanges(log, changes, { request_id: c.env?.facts?.request_id, ...facts })
}

/** … of anything else that this process changed. `hostname` in each line is this process's own. */
export function tell(
  c: Context<Env>,
  log: Log,
  what: string,
  facts: Record<string, unknown>,
): void {
  log.info({ request_id: c.env?.facts?.request_id, ...facts }, what)
}
