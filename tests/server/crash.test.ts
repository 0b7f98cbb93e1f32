/** SIGKILL, and the next server on the same database. */
import { expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { apiOf } from '../http/support/api.ts'
import type { Added, Claimed } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startServe } from './process.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
const RUN = { type: 'start_session', prompt: 'hello' }
/** So that only a runner that gives signs of life keeps its run. */
const environment = { RUN_RECOVERY_THRESHOLD: '0' }

test('nothing acknowledged is lost, and runners work on as if nothing had been', async () => {
  const folder = tempDir()
  const first = await startServe({ folder })
  const before = apiOf(first.url)
  const registered = await before.post<{ runner_id: string }>('/runner/register', RUNNER)
  const { runner_id } = registered.body
  const running = (await before.post<Added>('/runs', RUN)).body
  await before.post('/runner/runs/claim', { runner_id })
  await before.post(`/runner/runs/${running.run_id}/started`, { runner_id })
  await before.post('/runs', RUN)
  const claim = { runner_id, claim_key: 'c1' }
  const claimed = (await before.post<Claimed>('/runner/runs/claim', claim)).body

  const acknowledged: string[] = []
  // Each goes on until the server is gone, so that it is killed in the midst of their requests.
  const adding = Array.from({ length: 20 }, async () => {
    for (;;) {
      const { status, body } = await before.post<Added>('/runs', RUN)
      if (status === 201) acknowledged.push(body.run_id)
      if (acknowledged.length === 200) first.kill('SIGKILL')
    }
  })
  const outcomes = await Promise.allSettled(adding)
  expect(outcomes.map(({ status }) => status)).toEqual(adding.map(() => 'rejected'))
  await first.ended

  const { url } = await startServe({ folder, environment })
  const after = apiOf(url)
  const listed = await after.get<{ runs: RunView[] }>('/runs?limit=1000&status=pending')
  const stored = new Set(listed.body.runs.map(({ run_id }) => run_id))
  expect(acknowledged.filter((run_id) => !stored.has(run_id))).toEqual([])

  expect((await after.post('/runner/runs/claim', claim)).body).toEqual(claimed)
  expect((await after.get(`/runs/${running.run_id}`)).body).toMatchObject({
    ...{ status: 'running', runner_id, attempt: 1 },
  })
  expect((await after.post('/runner/heartbeat', { runner_id })).status).toBe(200)
  const report = `/runner/runs/${running.run_id}/completed`
  expect((await after.post(report, { runner_id })).status).toBe(200)
  const next = await after.get<{ run: RunView }>(`/runner/runs?runner_id=${runner_id}`)
  // The oldest of those that were added, since claims go by age.
  expect(next.body.run.run_id).toBe(listed.body.runs.at(-1)?.run_id)
})
