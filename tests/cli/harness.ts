/** Runs the command line in this process, against a scripted server that has no socket either. */
import { stripVTControlCharacters, styleText } from 'node:util'
import { Hono } from 'hono'
import type { Context, Output } from '../../src/cli/context.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { runProgram } from '../../src/cli/program.ts'
import type { RunExplanation, RunnerExplanation } from '../../src/client/index.ts'
import type { RunnerView, RunView } from '../../src/http/views.ts'
import type { RunEvent } from '../../src/queue/run-event.ts'

const NOW = '2026-01-31T12:00:00.000Z'

export function aRun(facts: Partial<RunView> = {}): RunView {
  return {
    run_id: 'run_000000000001',
    type: 'start_session',
    session_id: 'ses_000000000001',
    agent_name: null,
    prompt: 'hello',
    parameters: { prompt: facts.prompt ?? 'hello' },
    project_dir: null,
    parent_session_id: null,
    execution_mode: 'sync',
    demands: null,
    priority: 0,
    status: 'pending',
    runner_id: null,
    error: null,
    result: null,
    attempt: 0,
    max_attempts: 1,
    retry_delay_seconds: null,
    on_lost: 'fail',
    created_at: '2026-01-31T11:55:00.000Z',
    claimed_at: null,
    started_at: null,
    completed_at: null,
    available_at: null,
    timeout_at: null,
    ...facts,
  }
}

export function aRunner(facts: Partial<RunnerView> = {}): RunnerView {
  return {
    runner_id: 'lnch_000000000001',
    registered_at: '2026-01-31T11:00:00.000Z',
    last_heartbeat: '2026-01-31T11:59:48.000Z',
    hostname: 'build-7',
    project_dir: '/srv/project',
    executor_type: 'shell',
    executor_profile: null,
    executor: null,
    tags: [],
    require_matching_tags: false,
    status: 'online',
    seconds_since_heartbeat: 12,
    ...facts,
  }
}

/** What GET /runs/:id answers, look by look; the last stays. */
type Look = RunView | Response | Error

export interface Script {
  looks?: Look[]
  runs?: RunView[]
  runners?: RunnerView[]
  events?: RunEvent[]
  /** Of the run or the runner that is asked for. */
  explanation?: RunExplanation | RunnerExplanation
  /** How many could take what is added. */
  matching_runners?: number
}

/** Answers as the script says and remembers what it was asked. */
export function scriptedServer(script: Script = {}) {
  const { looks = [], runs = [], runners = [], events = [] } = script
  const { explanation, matching_runners = 1 } = script
  const added = { ...ids('run_000000000001'), status: 'pending', matching_runners }
  const app = new Hono()
  const asked: { method: string; path: string; query: Record<string, string>; body: unknown }[] = []
  const rest = [...looks]
  app.use(async (c, next) => {
    const body = c.req.header('content-type') ? await c.req.json() : null
    asked.push({ method: c.req.method, path: c.req.path, query: c.req.query(), body })
    await next()
  })
  app.post('/runs', (c) => c.json(added, 201))
  app.post('/runs/:id/retry', (c) => c.json(added, 201))
  app.post('/runs/:id/stop', (c) =>
    c.json({ ok: true, ...ids(c.req.param('id')), status: 'stopping' }),
  )
  app.get('/runs', (c) => {
    const from = Number(c.req.query('cursor') ?? 0)
    const to = from + Number(c.req.query('limit') ?? 100)
    return c.json({
      runs: runs.slice(from, to),
      next_cursor: to < runs.length ? String(to) : null,
    })
  })
  app.get('/runs/:id', (c) => {
    const look = rest.length > 1 ? rest.shift() : rest[0]
    if (look instanceof Error) throw look
    if (look instanceof Response) return look.clone()
    return look ? c.json(look) : c.json(refusal, 404)
  })
  app.get('/runs/:id/events', (c) => c.json({ events, next_cursor: null }))
  app.get('/:what/:id/explain', (c) => c.json(explanation ?? {}))
  app.get('/runners', (c) => c.json({ runners }))
  app.get('/sessions', (c) => c.json({ sessions: [], next_cursor: null }))
  app.onError((error) => {
    throw error
  })
  const answer: typeof fetch = async (input, init) => {
    init?.signal?.throwIfAborted()
    return app.fetch(new Request(input as URL, init))
  }
  return { asked, fetch: answer }
}

const ids = (run_id: string) => ({ run_id, session_id: 'ses_000000000001' })
export const refusal = { code: 'run_not_found', message: 'Run not found', detail: 'Run not found' }

export interface Terminal {
  /** Columns of a terminal that both outputs go to; without it they go to files. */
  columns?: number
  color?: boolean
  stdin?: string | Uint8Array
  /** Called with each piece of stderr; may press Ctrl-C. */
  onStderr?: (text: string, interrupt: () => void) => void
}

export async function cli(
  args: string[],
  server: { fetch: typeof fetch } = scriptedServer(),
  terminal: Terminal = {},
) {
  const { columns, color = false, stdin = '', onStderr } = terminal
  const written = { stdout: '', stderr: '' }
  let interrupted = () => {}
  const output = (name: 'stdout' | 'stderr'): Output => ({
    write(text) {
      written[name] += text
      if (name === 'stderr') onStderr?.(text, interrupted)
    },
    isTty: columns !== undefined,
    columns,
    style: (format, text) => (color ? styleText(format, text, { validateStream: false }) : text),
  })
  const context: Context = {
    stdin: chunks(stdin),
    stdout: output('stdout'),
    stderr: output('stderr'),
    fetch: server.fetch,
    now: () => new Date(NOW),
    onInterrupt(callback) {
      interrupted = callback
      return () => {
        interrupted = () => {}
      }
    },
    exitCode: EXIT.ok,
  }
  const code = await runProgram(context, args)
  return { code, ...written }
}

async function* chunks(stdin: string | Uint8Array) {
  yield typeof stdin === 'string' ? Buffer.from(stdin) : stdin
}

/** What remains on a terminal of a live line: each `\r` begins anew. */
export const drawn = (text: string): string[] =>
  stripVTControlCharacters(text)
    .split(/[\r\n]+/)
    .filter((line) => line !== '')
