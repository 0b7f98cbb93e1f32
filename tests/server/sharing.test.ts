/** Two server processes on one database. */
import { expect, test } from 'vitest'
import type { ClaimedRunView, RunView } from '../../src/http/views.ts'
import { apiOf } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startServe } from './process.ts'

test('a runner, its runs and its polls belong to both', async () => {
  const folder = tempDir()
  // At once, so that both find a file without tables.
  const servers = await Promise.all([startServe({ folder }), startServe({ folder })])
  const [here, there] = servers.map(({ url }) => apiOf(url))
  if (!here || !there) throw new Error('two servers')

  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const registered = await here.post<{ runner_id: string }>('/runner/register', runner)
  const { runner_id } = registered.body
  expect((await there.post('/runner/register', runner)).status).toBe(409)

  for (const [adding, polling] of [
    [here, there],
    [there, here],
    [here, here],
  ] as const) {
    const answer = polling.get<{ run: ClaimedRunView }>(`/runner/runs?runner_id=${runner_id}`)
    await polling.get('/health')
    const added = await adding.post<Added>('/runs', { type: 'start_session', prompt: 'hello' })
    const { run_id } = added.body
    expect((await answer).body.run.run_id).toBe(run_id)

    const ending = adding.get<RunView>(`/runs/${run_id}?wait=30`)
    const report = (what: string) => `/runner/runs/${run_id}/${what}`
    expect((await adding.post(report('started'), { runner_id })).status).toBe(200)
    expect((await polling.post(report('completed'), { runner_id })).status).toBe(200)
    expect((await ending).body.status).toBe('completed')
  }

  const { body } = await there.post<Added>('/runs', { type: 'start_session', prompt: 'hello' })
  await there.post('/runner/runs/claim', { runner_id })
  const told = there.get(`/runner/runs?runner_id=${runner_id}`)
  await here.post(`/runs/${body.run_id}/stop`)
  expect((await told).body).toEqual({
    stop_runs: [body.run_id],
    stop_sessions: [body.session_id],
  })
})
