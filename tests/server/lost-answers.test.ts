/** SIGKILL between the commit of a report and its answer: the runner reports again, to the next server. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ClaimedRunView, RunView } from '../../src/http/views.ts'
import { openWatcher } from '../../src/sqlite/file.ts'
import { type Api, apiOf } from '../http/support/api.ts'
import { rawConnection, request } from '../http/support/raw.ts'
import type { Claimed } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startServe } from './process.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
const RUN = { type: 'start_session', prompt: 'hello', max_attempts: 2 }

interface Report {
  path: string
  body: Record<string, unknown>
}

async function eventsOf({ get }: Api, { session_id }: ClaimedRunView): Promise<string[]> {
  const { body } = await get<{ events: { event_type: string }[] }>(`/sessions/${session_id}/events`)
  return body.events.map(({ event_type }) => event_type)
}

test('a report whose answer was lost is taken again, and counts once', async () => {
  const folder = tempDir()
  const first = await startServe({ folder })
  const before = apiOf(first.url)
  const { runner_id } = (await before.post<{ runner_id: string }>('/runner/register', RUNNER)).body
  for (let n = 0; n < 3; n += 1) await before.post('/runs', RUN)
  const claim = { runner_id, limit: 3 }
  const { runs } = (await before.post<Claimed>('/runner/runs/claim', claim)).body
  const [begun, done, broken] = runs as [ClaimedRunView, ClaimedRunView, ClaimedRunView]
  const report = (run: ClaimedRunView, what: string, facts = {}): Report => ({
    path: `/runner/runs/${run.run_id}/${what}`,
    body: { runner_id, claim_token: run.claim_token, ...facts },
  })
  for (const run of [done, broken]) {
    const { path, body } = report(run, 'started')
    await before.post(path, body)
  }

  const reports = [
    report(begun, 'started'),
    report(done, 'completed', { result: { text: 'all of it' } }),
    report(broken, 'failed', { error: 'no luck' }),
  ]
  const connections = await Promise.all(reports.map(() => rawConnection(first.url)))
  for (const [at, { socket, write }] of connections.entries()) {
    // Nobody reads what comes back.
    socket.pause()
    const { path, body } = reports[at] as Report
    write(request('POST', path, JSON.stringify(body)))
  }
  const watcher = await openWatcher(join(folder, 'data', 'runqueue.db'))
  onTestFinished(() => void watcher.close())
  const statuses = watcher.prepare('SELECT status FROM runs ORDER BY seq').pluck()
  await expect.poll(() => statuses.all()).toEqual(['running', 'completed', 'pending'])
  first.kill('SIGKILL')
  await first.ended

  const after = apiOf((await startServe({ folder })).url)
  const runNow = async ({ run_id }: ClaimedRunView) =>
    (await after.get<RunView>(`/runs/${run_id}`)).body
  const kept = await Promise.all(runs.map(runNow))
  for (const { path, body } of reports) expect((await after.post(path, body)).status).toBe(200)
  expect(await Promise.all(runs.map(runNow))).toEqual(kept)
  expect(await runNow(done)).toMatchObject({ status: 'completed', result: { text: 'all of it' } })
  expect(await eventsOf(after, begun)).toEqual(['run_start'])
  expect(await eventsOf(after, done)).toEqual(['run_start', 'run_completed'])
  // One attempt was used up, not two; and the late word of the first is none of the second.
  const again = (await after.post<Claimed>('/runner/runs/claim', { runner_id })).body
  expect(again.runs).toMatchObject([{ run_id: broken.run_id, attempt: 2 }])
  const { path, body } = reports[2] as Report
  expect((await after.post(path, body)).body).toMatchObject({ code: 'claim_token_mismatch' })
  expect((await runNow(broken)).status).toBe('claimed')
})
