/** Runs become available in their time, though the sweeps are far apart. */
import { expect, test } from 'vitest'
import type { ClaimedRunView } from '../../src/http/views.ts'
import { addSeconds, timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { apiOf } from '../http/support/api.ts'
import { aNewRun } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere, urlOf } from './in-process.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
/** Late enough to tell a sweep that came of itself from one that a due run asked for. */
const SWEEP_SECONDS = 30

/** A server on a database that holds a run from a while ago, available so many seconds from now. */
async function startWithRun(seconds: number) {
  const url = urlOf(tempDir())
  const engine = await openSqliteEngine({ url })
  const now = timestamp(new Date())
  const available_at = addSeconds(now, seconds)
  const { run } = await engine.runs.add(aNewRun({ available_at }), addSeconds(now, -60))
  await engine.close()
  const server = await startHere({
    ...{ DATABASE_URL: url, RUN_SWEEP_INTERVAL: String(SWEEP_SECONDS) },
  })
  const { post } = apiOf(server.url)
  const { runner_id } = (await post<{ runner_id: string }>('/runner/register', RUNNER)).body
  const claimed = post<{ runs: ClaimedRunView[] }>('/runner/runs/claim', {
    ...{ runner_id, wait_seconds: SWEEP_SECONDS },
  })
  return { run_id: run.run_id, available_at, claimed }
}

test.each([
  ['that comes while the server waits', 0.7],
  ['that came while no server was there', -5],
])('a time %s', async (_, seconds) => {
  const { run_id, available_at, claimed } = await startWithRun(seconds)
  const began = performance.now()
  const { runs } = (await claimed).body
  expect(runs).toMatchObject([{ run_id, available_at: null }])
  expect((runs[0]?.claimed_at ?? '') >= available_at).toBe(true)
  expect(performance.now() - began).toBeLessThan((SWEEP_SECONDS * 1000) / 3)
})
