/** Runs changed in each way in which a server changes them: by each route, each sweep and its start. */
import { logChanges } from '../../../src/change-log.ts'
import type { RunChange } from '../../../src/queue/run-change.ts'
import { recoverAll } from '../../../src/upkeep/recovery.ts'
import {
  deliveringCallbacks,
  makeAvailable,
  type SweeperOptions,
  sweepRunners,
  sweepRuns,
} from '../../../src/upkeep/sweeper.ts'
import type { Service } from './service.ts'

const RUN = { type: 'start_session', prompt: 'hello' }

/** As the server process has them, with the log of the service. */
function sweepsOf({ engine, clock, lines }: Service): SweeperOptions {
  const log = {
    isLevelEnabled: () => true,
    info: (facts: object, msg: string) => lines.push({ ...facts, msg, level: 30 }),
  }
  return {
    engine,
    config: {
      ...{ sweepIntervalSeconds: 1, lifecycleIntervalSeconds: 1, claimTimeoutSeconds: 60 },
      ...{ removeThresholdSeconds: 600, heartbeatIntervalSeconds: 60, retentionSeconds: null },
    },
    now: clock.now,
    elapsedMs: () => 0,
    onChanged: (changes: RunChange[]) => logChanges(log as never, changes),
    onSwept: () => {},
    onError: (error) => {
      throw error
    },
  }
}

export async function changeInEachWay(service: Service): Promise<void> {
  const { post, get, addRun, register, hold, begin, claim, report, engine, clock } = service
  const sweeps = sweepsOf(service)
  const stop = (run_id: string) => post(`/runs/${run_id}/stop`)
  const stopAllPending = async () => {
    for (const { run_id } of await service.runs('status=pending')) await stop(run_id)
  }
  const runner_id = await register()

  // Added twice with one key, claimed twice with one key, reported twice: each happened once.
  for (let i = 0; i < 2; i++) await post('/runs', RUN, { headers: { 'idempotency-key': 'k' } })
  const [run] = (await claim(runner_id, { claim_key: 'k' })).runs
  await claim(runner_id, { claim_key: 'k' })
  if (!run) throw new Error('nothing was claimed')
  const first = { run, runner_id }
  for (const what of ['started', 'started', 'completed', 'completed']) await report(what, first)

  // Its parent is told, by what ends the child, and by the sweep where plain SQL does.
  const child = { parent_session_id: run.session_id, execution_mode: 'async_callback' }
  await report('completed', await begin(child, runner_id))
  await stopAllPending()
  await stop((await addRun(child)).run_id)
  await stopAllPending()
  const deleted = await addRun(child)
  await service.delete(`/sessions/${deleted.session_id}`)
  await deliveringCallbacks(sweeps)()
  await stopAllPending()

  const failing = await begin({ max_attempts: 2 }, runner_id)
  await report('failed', failing, { error: 'once' })
  await claim(runner_id)
  await report('failed', failing, { error: 'twice' })
  await post(`/runs/${failing.run.run_id}/retry`)
  await post('/runs/batch', { runs: [RUN, RUN] })
  await stopAllPending()

  const stopped = await begin({}, runner_id)
  for (let i = 0; i < 2; i++) await stop(stopped.run.run_id)
  await report('stopped', stopped)
  const ofSession = await begin({}, runner_id)
  await post(`/sessions/${ofSession.run.session_id}/stop`)
  // It is told, and never confirms it.
  await claim(runner_id)

  await addRun({ delay_seconds: 10 })
  await addRun({ additional_demands: { tags: ['nobody'] } })
  clock.advance(10)
  await makeAvailable(sweeps)
  await hold({ priority: 1 }, runner_id)
  clock.advance(400)
  await sweepRuns(sweeps, true)
  await stopAllPending()

  // A poll whose client is gone before it has the answer.
  await addRun()
  await service.app.request(`/runner/runs?runner_id=${runner_id}`, { signal: AbortSignal.abort() })
  await stopAllPending()

  await begin({}, runner_id)
  clock.advance(601)
  await sweepRunners(sweeps)
  for (const mark of ['?self=true', '']) {
    await register()
    await begin({ max_attempts: 2, on_lost: 'requeue' }, runner_id)
    await service.delete(`/runners/${runner_id}${mark}`)
    await get(`/runner/runs?runner_id=${runner_id}`)
    await stopAllPending()
  }

  await register()
  for (const status of ['claimed', 'running']) {
    if (status === 'claimed') await hold({}, runner_id)
    else await begin({}, runner_id)
  }
  const options = { thresholdSeconds: 0, aliveSince: clock.ahead(1) }
  await recoverAll(engine.runs, 'all', options, clock.now(), sweeps.onChanged)
}
