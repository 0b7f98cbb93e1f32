/** SIGKILL, and the next server on the same database. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { type Api, apiOf } from '../http/support/api.ts'
import type { Added, Claimed } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type ServerProcess, startServe } from './process.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
const RUN = { type: 'start_session', prompt: 'hello' }
/** So that only a runner that gives signs of life keeps its run. */
const AT_ONCE = { RUN_RECOVERY_THRESHOLD: '0' }

describe('after a crash', () => {
  let folder: string
  let server: ServerProcess
  let api: Api
  let runner_id: string
  let running: Added
  let claimed: Claimed

  beforeEach(async () => {
    folder = tempDir()
    server = await startServe({ folder })
    api = apiOf(server.url)
    const registered = await api.post<{ runner_id: string }>('/runner/register', RUNNER)
    runner_id = registered.body.runner_id
    running = (await api.post<Added>('/runs', RUN)).body
    await api.post('/runner/runs/claim', { runner_id })
    await api.post(`/runner/runs/${running.run_id}/started`, { runner_id })
    await api.post('/runs', RUN)
    claimed = (await api.post<Claimed>('/runner/runs/claim', { runner_id, claim_key: 'c1' })).body
  })

  async function crash(environment: Record<string, string>): Promise<void> {
    server.kill('SIGKILL')
    await server.ended
    server = await startServe({ folder, environment: { ...AT_ONCE, ...environment } })
    api = apiOf(server.url)
  }

  const runNow = async ({ run_id }: { run_id: string }) =>
    (await api.get<RunView>(`/runs/${run_id}`)).body

  test('nothing acknowledged is lost, and runners work on as if nothing had been', async () => {
    const acknowledged: string[] = []
    const adding = Array.from({ length: 300 }, async () => {
      const { status, body } = await api.post<Added>('/runs', RUN)
      if (status === 201) acknowledged.push(body.run_id)
      if (acknowledged.length === 50) server.kill('SIGKILL')
    })
    const outcomes = await Promise.allSettled(adding)
    // It was killed while it worked, else this proves little.
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    await crash({})

    const listed = await api.get<{ runs: RunView[] }>('/runs?limit=1000&status=pending')
    const stored = new Set(listed.body.runs.map(({ run_id }) => run_id))
    expect(acknowledged.filter((run_id) => !stored.has(run_id))).toEqual([])

    const repeated = { runner_id, claim_key: 'c1' }
    expect((await api.post('/runner/runs/claim', repeated)).body).toEqual(claimed)
    expect(await runNow(running)).toMatchObject({ status: 'running', runner_id, attempt: 1 })
    expect((await api.post('/runner/heartbeat', { runner_id })).status).toBe(200)
    const report = `/runner/runs/${running.run_id}/completed`
    expect((await api.post(report, { runner_id })).status).toBe(200)
    const next = await api.get<{ run: RunView }>(`/runner/runs?runner_id=${runner_id}`)
    // The oldest of those that were added, since the claims are in order of age.
    expect(next.body.run.run_id).toBe(listed.body.runs.at(-1)?.run_id)
  })

  test('stale: what a silent runner held is settled', async () => {
    await crash({ RUNNER_STALE_THRESHOLD: '0' })
    expect(await runNow(running)).toMatchObject({
      ...{ status: 'failed', error: 'Coordinator restarted during execution' },
    })
    expect(await runNow(claimed.runs[0] ?? running)).toMatchObject({
      ...{ status: 'pending', runner_id: null, attempt: 0 },
    })
  })

  test('all: what any runner held is settled', async () => {
    await crash({ RUN_RECOVERY_MODE: 'all' })
    expect(await runNow(running)).toMatchObject({
      ...{ status: 'failed', error: 'Coordinator restarted - execution state unknown' },
    })
    expect(await runNow(claimed.runs[0] ?? running)).toMatchObject({ status: 'pending' })
  })

  test('none: nothing is touched', async () => {
    await crash({ RUN_RECOVERY_MODE: 'none', RUNNER_STALE_THRESHOLD: '0' })
    expect(await runNow(running)).toMatchObject({ status: 'running' })
    expect(await runNow(claimed.runs[0] ?? running)).toMatchObject({ status: 'claimed' })
  })
})
