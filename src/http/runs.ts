/** /runs: adding runs, looking at them, stopping and retrying them. */
import { type Context, Hono } from 'hono'
import { clientOf } from '../queue/cause.ts'
import { QueueError } from '../queue/errors.ts'
import { newRunId } from '../queue/ids.ts'
import { type AddedRun, isTerminal, RUN_STATUSES, type Run, type Timestamp } from '../queue/run.ts'
import { addedChange } from '../queue/run-change.ts'
import type { AddBounds } from '../queue/run-queue.ts'
import { addSeconds } from '../queue/time.ts'
import { RUNS } from './api/runs.ts'
import { pathId, readBody, readHeaders, readQuery } from './body.ts'
import { type Deps, type Env, termsOf } from './deps.ts'
import { newRun, withIdsDrawn } from './new-run.ts'
import { tellChanges, traceparentFor } from './requests.ts'
import type { RunEnds } from './run-ends.ts'
import { WAIT_SECONDS_MAX } from './schemas.ts'
import { runView } from './views.ts'

export function runRoutes(deps: Deps, ends: RunEnds): Hono<Env> {
  const { engine, config, now, log } = deps
  const { noMatchTimeoutSeconds } = config
  const app = new Hono<Env>()

  function boundsOf(c: Context<Env>, at: Timestamp): AddBounds {
    const caller = c.get('caller')
    const token_id = caller?.token_id
    const { maxPending, runRateLimit, runRateBurst, staleThresholdSeconds } = config
    const isLimited = token_id !== undefined && runRateLimit > 0
    return {
      max_pending: maxPending,
      rate: isLimited ? { token_id, runs_per_second: runRateLimit, burst: runRateBurst } : null,
      caller,
      stale_before: addSeconds(at, -staleThresholdSeconds),
    }
  }

  function tellAdded(c: Context<Env>, added: AddedRun[], facts = {}): void {
    const created = added.flatMap((one) => (one.created ? [one.run] : []))
    const by = clientOf(c.get('caller'))
    tellChanges(
      c,
      log,
      created.map((run) => addedChange(run, by)),
      facts,
    )
  }

  app.post('/', async (c) => {
    const { body: schema, headers } = RUNS['POST /runs']
    const body = await readBody(c, schema)
    const { 'Idempotency-Key': idempotencyKey } = readHeaders(c, headers)
    const at = now()
    const traceparent = traceparentFor(c)
    const added = await withIdsDrawn([body], () => {
      const run = newRun(body, at, { noMatchTimeoutSeconds, idempotencyKey, traceparent })
      return engine.runs.add(run, at, boundsOf(c, at))
    })
    tellAdded(c, [added])
    return c.json(addedView(added), added.created ? 201 : 200)
  })

  app.post('/batch', async (c) => {
    const { runs } = await readBody(c, RUNS['POST /runs/batch'].body)
    const at = now()
    const traceparent = traceparentFor(c)
    const added = await withIdsDrawn(runs, () => {
      const newRuns = runs.map((body, index) => {
        const place = ['body', 'runs', index]
        return newRun(body, at, { noMatchTimeoutSeconds, traceparent, place })
      })
      return engine.runs.addMany(newRuns, at, boundsOf(c, at))
    })
    tellAdded(c, added)
    return c.json({ runs: added.map(addedView) }, 201)
  })

  app.get('/', async (c) => {
    const { status, ...filter } = readQuery(c, RUNS['GET /runs'].query)
    const words = status?.split(',').map((word) => word.trim())
    const statuses = words && RUN_STATUSES.filter((known) => words.includes(known))
    const { runs, next_cursor } = await engine.runs.list({ ...filter, statuses })
    return c.json({ runs: runs.map(runView), next_cursor })
  })

  app.get('/:run_id', async (c) => {
    const run_id = pathId(c, 'run_id')
    const { wait } = readQuery(c, RUNS['GET /runs/:run_id'].query)
    const run = existing(await engine.runs.get(run_id))
    if (wait === 0 || isTerminal(run.status)) return c.json(runView(run))
    const seconds = Math.min(wait, WAIT_SECONDS_MAX)
    const ended = await ends.wait(run_id, seconds * 1000, c.req.raw.signal)
    return c.json(runView(ended ?? existing(await engine.runs.get(run_id))))
  })

  app.get('/:run_id/events', async (c) => {
    const run_id = pathId(c, 'run_id')
    return c.json(
      await engine.runs.events(run_id, readQuery(c, RUNS['GET /runs/:run_id/events'].query)),
    )
  })

  app.get('/:run_id/explain', async (c) => {
    const explanation = await engine.insight.explainRun(pathId(c, 'run_id'), termsOf(deps), now())
    return c.json(explanation)
  })

  app.post('/:run_id/stop', async (c) => {
    const run_id = pathId(c, 'run_id')
    const stop = await engine.runs.stop(run_id, now(), c.get('caller'))
    const { run, outcome, session_status, changes } = stop
    const answer = { ok: true, run_id, session_id: run.session_id }
    tellChanges(c, log, changes)
    switch (outcome) {
      case 'cancelled':
        return c.json({ ...answer, status: 'stopped', message: 'Run cancelled before execution' })
      case 'ended':
        return c.json({
          ...answer,
          status: session_status,
          message: `Session already ${session_status}`,
        })
      default:
        return c.json({ ...answer, status: 'stopping' })
    }
  })

  app.post('/:run_id/retry', async (c) => {
    const at = now()
    const retry_of = pathId(c, 'run_id')
    const added = await withIdsDrawn([], () =>
      engine.runs.retry(retry_of, newRunId(), at, boundsOf(c, at)),
    )
    tellAdded(c, [added], { retry_of })
    return c.json(addedView(added), 201)
  })

  return app
}

const addedView = ({ run: { run_id, session_id, status }, matching_runners }: AddedRun) => ({
  run_id,
  session_id,
  status,
  matching_runners,
})

function existing(run: Run | null): Run {
  if (!run) throw new QueueError('run_not_found', 'Run not found')
  return run
}
