/** What a server does as time passes, at the pace that its environment names. */
import { expect, test } from 'vitest'
import type { RunnerView, RunView } from '../../src/http/views.ts'
import type { Session } from '../../src/queue/session.ts'
import { apiOf } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { startHere } from './in-process.ts'

const PATIENT = { timeout: 10_000, interval: 20 }
const RUN = { type: 'start_session', prompt: 'hello' }

test('claims expire, matches time out, runners that fall silent are removed', async () => {
  const { url } = await startHere({
    RUNNER_POLL_TIMEOUT: '0.1',
    RUNNER_HEARTBEAT_INTERVAL: '45.5',
    RUNNER_STALE_THRESHOLD: '1',
    RUNNER_REMOVE_THRESHOLD: '2.5',
    RUNNER_LIFECYCLE_INTERVAL: '0.1',
    RUN_SWEEP_INTERVAL: '0.1',
    RUN_CLAIM_TIMEOUT: '0.5',
    RUN_NO_MATCH_TIMEOUT: '0.3',
    CORS_ORIGINS: 'https://ui.example',
  })
  const { get, post } = apiOf(url)
  const runNow = async ({ run_id }: Added) => (await get<RunView>(`/runs/${run_id}`)).body
  const statusOf = async (added: Added) => (await runNow(added)).status
  const sessionOf = async ({ session_id }: Added) =>
    (await get<{ session: Session }>(`/sessions/${session_id}`)).body.session.status
  const runners = async () => (await get<{ runners: RunnerView[] }>('/runners')).body.runners

  // Before it matters how long that takes: the first who look wait for what reads for them to start.
  expect(await runners()).toEqual([])
  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const registered = await post<{ runner_id: string }>('/runner/register', runner)
  expect(registered.body).toMatchObject({
    ...{ poll_timeout_seconds: 0.1, heartbeat_interval_seconds: 45.5 },
  })
  const { runner_id } = registered.body
  expect((await get(`/runner/runs?runner_id=${runner_id}`)).status).toBe(204)

  const running = (await post<Added>('/runs', RUN)).body
  await post('/runner/runs/claim', { runner_id })
  await post(`/runner/runs/${running.run_id}/started`, { runner_id })
  const dropped = (await post<Added>('/runs', RUN)).body
  await post('/runner/runs/claim', { runner_id })
  const unmatched = (
    await post<Added>('/runs', { ...RUN, additional_demands: { hostname: 'nobody' } })
  ).body
  expect(await statusOf(dropped)).toBe('claimed')

  await expect.poll(() => statusOf(unmatched), PATIENT).toBe('failed')
  expect((await runNow(unmatched)).error).toBe('No matching runner available within timeout')
  expect(await sessionOf(unmatched)).toBe('failed')

  await expect.poll(() => statusOf(dropped), PATIENT).toBe('pending')
  expect(await runNow(dropped)).toMatchObject({ runner_id: null, attempt: 0 })
  expect(await statusOf(running)).toBe('running')

  const wordOf = async () => (await runners())[0]?.status
  await expect.poll(wordOf, PATIENT).toBe('stale')
  await expect.poll(runners, PATIENT).toEqual([])
  expect(await runNow(running)).toMatchObject({
    ...{ status: 'failed', error: 'Runner disconnected during execution' },
  })
  expect(await sessionOf(running)).toBe('failed')
  expect((await get(`/runner/runs?runner_id=${runner_id}`)).status).toBe(401)

  const { headers } = await get('/health', { headers: { origin: 'https://ui.example' } })
  expect(headers.get('access-control-allow-origin')).toBe('https://ui.example')
})
