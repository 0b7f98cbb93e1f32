/** /runner: what runners call. */
import { type Context, Hono } from 'hono'
import type { z } from 'zod'
import { because } from '../queue/cause.ts'
import { runnerId } from '../queue/ids.ts'
import type { ClaimedRun } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Report } from '../queue/run-queue.ts'
import type { NewRunner } from '../queue/runner.ts'
import { addSeconds } from '../queue/time.ts'
import { RUNNER } from './api/runner.ts'
import { pathId, readBody, readQuery } from './body.ts'
import type { Deps, Env } from './deps.ts'
import { RequestError } from './errors.ts'
import { type Poll, type PollAnswer, type Polls, poll } from './poll.ts'
import { note, tell, tellChanges } from './requests.ts'
import { type registerBody, type reportBody, WAIT_SECONDS_MAX } from './schemas.ts'
import { claimedRunView } from './views.ts'

export function runnerRoutes(deps: Deps, polls: Polls): Hono<Env> {
  const { engine, config, now, log, onError } = deps
  const app = new Hono<Env>()

  app.post('/register', async (c) => {
    const runner = newRunner(await readBody(c, RUNNER['POST /runner/register'].body))
    const at = now()
    const staleBefore = addSeconds(at, -config.staleThresholdSeconds)
    const { runner_id } = await engine.runners.register(runner, at, staleBefore, c.get('caller'))
    tell(c, log, 'runner registered', { runner_id, runner_hostname: runner.hostname })
    return c.json({
      runner_id,
      poll_endpoint: '/runner/runs',
      poll_timeout_seconds: config.pollTimeoutSeconds,
      heartbeat_interval_seconds: config.heartbeatIntervalSeconds,
    })
  })

  app.get('/runs', async (c) => {
    const { runner_id } = readQuery(c, RUNNER['GET /runner/runs'].query)
    const waitSeconds = config.pollTimeoutSeconds
    const signal = () => c.req.raw.signal
    const caller = c.get('caller')
    const request = { runner_id, caller, limit: 1, claim_key: null, waitSeconds, signal }
    const answer = await answerPoll(c, request)
    // Existing runners look whether a key is there, not what it holds: others stay absent.
    switch (answer.kind) {
      case 'nothing':
        return c.body(null, 204)
      case 'deregistered':
        return c.json({ deregistered: true })
      case 'stops': {
        const { run_ids, session_ids } = answer.stops
        return c.json({ stop_runs: run_ids, stop_sessions: session_ids })
      }
      case 'runs': {
        await releaseIfLost(c, answer.runs)
        return c.json({ run: answer.runs.map(claimedRunView)[0] })
      }
    }
  })

  app.post('/runs/claim', async (c) => {
    const { runner_id, limit, wait_seconds, claim_key } = await readBody(
      c,
      RUNNER['POST /runner/runs/claim'].body,
    )
    const answer = await answerPoll(c, {
      runner_id,
      caller: c.get('caller'),
      limit: limit ?? 1,
      claim_key: claim_key ?? null,
      waitSeconds: Math.min(wait_seconds ?? 0, WAIT_SECONDS_MAX),
      signal: () => c.req.raw.signal,
    })
    const runs = answer.kind === 'runs' ? answer.runs : []
    const stops = answer.kind === 'stops' ? answer.stops : { run_ids: [], session_ids: [] }
    // A claim with a key is made again if its answer is lost, perhaps before this connection is seen
    // to be gone: then the runs are at work, and must not be given to somebody else.
    if (!claim_key) await releaseIfLost(c, runs)
    return c.json({
      runs: runs.map(claimedRunView),
      stop_runs: stops.run_ids,
      stop_sessions: stops.session_ids,
      deregistered: answer.kind === 'deregistered',
    })
  })

  async function answerPoll(c: Context<Env>, request: Poll): Promise<PollAnswer> {
    const { runner_id } = request
    note(c, { runner_id })
    const answer = await poll(deps, polls, request)
    if (answer.kind === 'nothing') note(c, { vain: true })
    if (answer.kind === 'deregistered') {
      tell(c, log, 'runner removed', { runner_id })
      tellChanges(c, log, answer.changes)
    }
    if (answer.kind === 'runs') {
      const reason = because('claimed', 'runner')
      tellChanges(
        c,
        log,
        answer.claimed.map((run) => changeOf({ ...run, ...reason })),
      )
      for (const { traceparent } of answer.runs) c.env?.facts?.span?.link(traceparent)
    }
    return answer
  }

  /** A client that is gone must not swallow a run: what it claimed goes back at once. */
  async function releaseIfLost(c: Context<Env>, runs: ClaimedRun[]): Promise<void> {
    if (runs.length === 0) return
    const release = async () => {
      const at = now()
      const released = await Promise.all(
        runs.map(({ run_id, claim_token }) => engine.runs.release(run_id, claim_token, at)),
      )
      tellChanges(c, log, released.flat())
    }
    const { incoming, outgoing } = c.env ?? {}
    if (outgoing ? outgoing.destroyed : c.req.raw.signal.aborted) {
      await release()
      return
    }
    outgoing?.once('close', () => {
      // Not outgoing.writableFinished: a connection that breaks ends the writing, too.
      if (incoming?.socket.destroyed) release().catch((error) => onError(error, c.req))
    })
  }

  /** The report belongs to its runner's trace; what it is about, to the trace of who added the run. */
  async function reported(c: Context<Env>, changes: RunChange[]): Promise<void> {
    const { run_id, span } = c.env?.facts ?? {}
    tellChanges(c, log, changes)
    if (span && run_id !== undefined) span.link(await engine.runs.traceparent(run_id))
  }

  app.post('/runs/:run_id/started', async (c) => {
    const body = await readBody(c, RUNNER['POST /runner/runs/:run_id/started'].body, {
      lenient: true,
    })
    await reported(c, await engine.runs.start(report(c, body), now()))
    return c.json({ ok: true })
  })

  app.post('/runs/:run_id/completed', async (c) => {
    const body = await readBody(c, RUNNER['POST /runner/runs/:run_id/completed'].body, {
      lenient: true,
    })
    const { text = null, data = null } = body.result ?? {}
    const completion = {
      session_status: body.session_status ?? ('finished' as const),
      result: body.result ? { text, data } : null,
      ...report(c, body),
    }
    await reported(c, await engine.runs.complete(completion, now()))
    return c.json({ ok: true })
  })

  app.post('/runs/:run_id/failed', async (c) => {
    const body = await readBody(c, RUNNER['POST /runner/runs/:run_id/failed'].body, {
      lenient: true,
    })
    await reported(c, await engine.runs.fail({ error: body.error, ...report(c, body) }, now()))
    return c.json({ ok: true })
  })

  app.post('/runs/:run_id/stopped', async (c) => {
    const body = await readBody(c, RUNNER['POST /runner/runs/:run_id/stopped'].body, {
      lenient: true,
    })
    await reported(c, await engine.runs.confirmStop(report(c, body), now()))
    return c.json({ ok: true })
  })

  app.post('/sessions/:session_id/status', async (c) => {
    const session_id = pathId(c, 'session_id')
    const { runner_id, status } = await readBody(
      c,
      RUNNER['POST /runner/sessions/:session_id/status'].body,
    )
    if (status !== 'finished' && status !== 'failed' && status !== 'stopped') {
      throw new RequestError(
        400,
        'invalid_session_status',
        "Status must be 'finished', 'failed', or 'stopped'",
      )
    }
    await engine.sessions.report(session_id, runner_id, status, now(), c.get('caller'))
    tell(c, log, `session ${status}`, { session_id, runner_id })
    return c.json({ ok: true })
  })

  app.post('/heartbeat', async (c) => {
    const { runner_id } = await readBody(c, RUNNER['POST /runner/heartbeat'].body)
    note(c, { runner_id })
    await engine.runners.heartbeat(runner_id, now(), c.get('caller'))
    return c.json({ ok: true })
  })

  return app
}

function report(c: Context<Env>, body: z.output<typeof reportBody>): Report {
  const { runner_id, claim_token } = body
  note(c, { runner_id })
  return {
    run_id: pathId(c, 'run_id'),
    runner_id,
    caller: c.get('caller'),
    claim_token: claim_token ?? null,
  }
}

export function newRunner(body: z.output<typeof registerBody>): NewRunner {
  const { hostname, project_dir, executor_profile = null, executor = null } = body
  const type = executor?.['type']
  const command = executor?.['command']
  const executor_type = body.executor_type ?? (typeof type === 'string' ? type : null)
  return {
    runner_id: runnerId({
      hostname,
      project_dir,
      executor_profile,
      executor_type,
      command: typeof command === 'string' ? command : null,
    }),
    hostname,
    project_dir,
    executor_type,
    executor_profile,
    executor,
    tags: body.tags ?? null,
    require_matching_tags: body.require_matching_tags ?? false,
    agents: body.agents ?? null,
  }
}
