/** What a server does as time passes, at the pace that its environment names. */
import { expect, test } from 'vitest'
import type { RunnerView, RunView } from '../../src/http/views.ts'
import type { Session } from '../../src/queue/session.ts'
import { addSeconds, timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { apiOf } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { aNewRun, aNewRunner, someTokens } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere, urlOf } from './in-process.ts'

const PATIENT = { timeout: 20_000, interval: 20 }
const RUN = { type: 'start_session', prompt: 'hello' }

/**
 * On either side of each limit below, and far from it, so that no test hurries: a runner that was
 * last heard of so long ago, with a run that it claimed then and one that it runs.
 */
const SECONDS = { online: 500, stale: 2000, lost: 8000 }
type Word = keyof typeof SECONDS

async function leaveRunners(url: string) {
  const engine = await openSqliteEngine({ url })
  const now = timestamp(new Date())
  const leave = async (word: Word) => {
    const at = addSeconds(now, -SECONDS[word])
    const { runner_id } = await engine.runners.register(aNewRunner({ hostname: word }), at, at)
    const claim = { runner_id, limit: 1, claim_key: null }
    const [running, claimed] = [aNewRun(), aNewRun()]
    for (const run of [running, claimed]) {
      await engine.runs.add(run, at)
      await engine.runs.claim({ ...claim, tokens: someTokens(1) }, at)
      if (run !== running) continue
      await engine.runs.start({ run_id: run.run_id, runner_id, claim_token: null }, at)
    }
    return { runner_id, running, claimed }
  }
  const left = {
    online: await leave('online'),
    stale: await leave('stale'),
    lost: await leave('lost'),
  }
  await engine.close()
  return left
}

test('claims expire, matches time out, runners that fall silent are removed', async () => {
  const DATABASE_URL = urlOf(tempDir())
  const { online, stale, lost } = await leaveRunners(DATABASE_URL)
  const { url } = await startHere({
    DATABASE_URL,
    RUN_RECOVERY_MODE: 'none',
    RUNNER_POLL_TIMEOUT: '0.1',
    RUNNER_HEARTBEAT_INTERVAL: '45.5',
    RUNNER_STALE_THRESHOLD: '1000',
    RUNNER_REMOVE_THRESHOLD: '4000',
    RUNNER_LIFECYCLE_INTERVAL: '0.1',
    RUN_SWEEP_INTERVAL: '0.1',
    RUN_CLAIM_TIMEOUT: '1000',
    RUN_NO_MATCH_TIMEOUT: '0.3',
    CORS_ORIGINS: 'https://ui.example',
  })
  const { get, post } = apiOf(url)
  const runNow = async ({ run_id }: { run_id: string }) =>
    (await get<RunView>(`/runs/${run_id}`)).body
  const statusOf = async (run: { run_id: string }) => (await runNow(run)).status
  const sessionOf = async ({ session_id }: { session_id: string }) =>
    (await get<{ session: Session }>(`/sessions/${session_id}`)).body.session.status
  const runners = async () => {
    const { body } = await get<{ runners: RunnerView[] }>('/runners')
    return body.runners.map(({ runner_id, status }) => [runner_id, status])
  }

  const unmatched = (
    await post<Added>('/runs', { ...RUN, additional_demands: { hostname: 'nobody' } })
  ).body
  await expect.poll(() => statusOf(unmatched), PATIENT).toBe('failed')
  expect((await runNow(unmatched)).error).toBe('No matching runner available within timeout')
  expect(await sessionOf(unmatched)).toBe('failed')

  await expect.poll(() => statusOf(stale.claimed), PATIENT).toBe('pending')
  expect(await runNow(stale.claimed)).toMatchObject({ runner_id: null, attempt: 0 })
  expect(await statusOf(online.claimed)).toBe('claimed')

  await expect.poll(runners, PATIENT).toEqual([
    [stale.runner_id, 'stale'],
    [online.runner_id, 'online'],
  ])
  for (const { running } of [online, stale]) expect(await statusOf(running)).toBe('running')
  expect(await runNow(lost.running)).toMatchObject({
    ...{ status: 'failed', error: 'Runner disconnected during execution' },
  })
  expect(await sessionOf(lost.running)).toBe('failed')
  expect((await get(`/runner/runs?runner_id=${lost.runner_id}`)).status).toBe(401)

  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const tags = { tags: ['none has it'], require_matching_tags: true }
  const registered = await post<{ runner_id: string }>('/runner/register', { ...runner, ...tags })
  expect(registered.body).toMatchObject({
    ...{ poll_timeout_seconds: 0.1, heartbeat_interval_seconds: 45.5 },
  })
  const { runner_id } = registered.body
  expect((await get(`/runner/runs?runner_id=${runner_id}`)).status).toBe(204)

  const { headers } = await get('/health', { headers: { origin: 'https://ui.example' } })
  expect(headers.get('access-control-allow-origin')).toBe('https://ui.example')
})
