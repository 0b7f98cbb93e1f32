/** DELETE /runners/{id}: what becomes of a runner, of its poll and of its runs. */
import { describe, expect, test } from 'vitest'
import { expectRefusal } from './support/api.ts'
import type { Service, Setup } from './support/service.ts'

const LOST = 'Runner disconnected during execution'
const MARKED = {
  ok: true,
  message: 'Runner marked for deregistration',
  initiated_by: 'external',
}
const GONE = { ok: true, message: 'Runner deregistered', initiated_by: 'self' }

/** A runner that holds one of everything. */
async function busyRunner(service: Service) {
  const runner_id = await service.register()
  const idle = await service.begin({}, runner_id)
  await service.report('completed', idle, { session_status: 'idle' })
  const finished = await service.begin({}, runner_id)
  await service.report('completed', finished)
  const running = await service.begin({}, runner_id)
  const retried = await service.begin({ max_attempts: 2, on_lost: 'requeue' }, runner_id)
  const stopping = await service.begin({}, runner_id)
  const claimed = await service.hold({}, runner_id)
  await service.post(`/runs/${stopping.run.run_id}/stop`)
  return { runner_id, idle, finished, running, retried, stopping, claimed }
}

async function expectSettled(
  service: Service,
  busy: Awaited<ReturnType<typeof busyRunner>>,
): Promise<void> {
  const stateOf = async ({
    run: { run_id, session_id },
  }: {
    run: { run_id: string; session_id: string }
  }) => {
    const { status, error, runner_id } = await service.run(run_id)
    return { run: status, error, runner_id, session: (await service.session(session_id)).status }
  }
  const { runner_id } = busy
  const pending = { run: 'pending', runner_id: null, session: 'pending' }
  expect(await stateOf(busy.claimed)).toEqual({ ...pending, error: null })
  expect(await stateOf(busy.running)).toEqual({
    ...{ run: 'failed', error: LOST, runner_id, session: 'failed' },
  })
  expect(await stateOf(busy.retried)).toEqual({ ...pending, error: LOST })
  expect(await stateOf(busy.stopping)).toMatchObject({ run: 'stopped', session: 'stopped' })
  expect(await stateOf(busy.idle)).toMatchObject({ run: 'completed', session: 'finished' })
  expect(await stateOf(busy.finished)).toMatchObject({ run: 'completed', session: 'finished' })
  expect((await service.get('/runners')).body).toEqual({ runners: [] })
  expectRefusal(await service.poll(runner_id), 401, 'runner_not_registered')
}

export function describeRemoval(setup: Setup): void {
  describe('DELETE /runners/{id}', () => {
    test('of no runner', async () => {
      const service = await setup()
      for (const path of ['/runners/lnch_gone', '/runners/lnch_gone?self=true']) {
        expectRefusal(await service.delete(path), 404, 'runner_not_found', 'Runner not found')
      }
    })

    test('self: removed at once, and what it held is settled', async () => {
      const service = await setup()
      const busy = await busyRunner(service)
      const answer = await service.delete(`/runners/${busy.runner_id}?self=true`)
      expect(answer).toMatchObject({ status: 200, body: GONE })
      await expectSettled(service, busy)
    })

    test('self: a poll of it that waits ends and gets nothing', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 30 } })
      const runner_id = await service.register()
      const { answer: polling } = await service.waiting(() => service.poll(runner_id))
      const { answer: claiming } = await service.waiting(() =>
        service.claim(runner_id, { wait_seconds: 30 }),
      )
      await service.delete(`/runners/${runner_id}?self=true`)
      expect(await polling).toMatchObject({ status: 204, text: '' })
      expect(await claiming).toEqual({
        ...{ runs: [], stop_runs: [], stop_sessions: [], deregistered: false },
      })
    })

    test('external: marked, told at its next poll before all else, then removed', async () => {
      const service = await setup()
      const busy = await busyRunner(service)
      await service.addRun()
      const answer = await service.delete(`/runners/${busy.runner_id}`)
      expect(answer).toMatchObject({ status: 200, body: MARKED })
      // Until it is told it is a runner as any other, but gets nothing new.
      expect((await service.post('/runner/heartbeat', busy)).status).toBe(200)
      expect(await service.delete(`/runners/${busy.runner_id}`)).toMatchObject({ body: MARKED })
      const told = await service.poll(busy.runner_id)
      expect(told.status).toBe(200)
      expect(told.body).toEqual({ deregistered: true })
      await expectSettled(service, busy)
    })

    test('external: a report that it makes before it is told counts', async () => {
      const service = await setup()
      const held = await service.begin()
      await service.delete(`/runners/${held.runner_id}`)
      expect((await service.report('completed', held)).status).toBe(200)
      expect((await service.run(held.run.run_id)).status).toBe('completed')
    })

    test('external: told at the poll that waits', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 30 } })
      const runner_id = await service.register()
      const { answer: polling } = await service.waiting(() => service.poll(runner_id))
      await service.delete(`/runners/${runner_id}`)
      expect((await polling).body).toEqual({ deregistered: true })
      expectRefusal(await service.poll(runner_id), 401, 'runner_not_registered')
    })

    test('external: told at the poll that waits at another server', async () => {
      const service = await setup()
      const other = await service.another({ config: { pollTimeoutSeconds: 30 } })
      const runner_id = await service.register()
      const { answer: polling } = await other.waiting(() => other.poll(runner_id))
      await service.delete(`/runners/${runner_id}`)
      expect((await polling).body).toEqual({ deregistered: true })
    })

    test('external: of two polls that wait one is told, and the other ends with nothing', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 30 } })
      const runner_id = await service.register()
      const first = await service.waiting(() => service.poll(runner_id))
      const second = await service.waiting(() => service.poll(runner_id))
      await service.delete(`/runners/${runner_id}`)
      const answers = await Promise.all([first.answer, second.answer])
      const told = answers.map(({ status, body }) => ({ status, body }))
      expect(told).toContainEqual({ status: 200, body: { deregistered: true } })
      expect(told).toContainEqual({ status: 204, body: undefined })
      expect((await service.poll(runner_id)).status).toBe(401)
    })

    test('external: told by a claim, too', async () => {
      const service = await setup()
      const runner_id = await service.register()
      await service.addRun()
      await service.delete(`/runners/${runner_id}`)
      expect(await service.claim(runner_id)).toEqual({
        ...{ runs: [], stop_runs: [], stop_sessions: [], deregistered: true },
      })
    })

    test('a word for self that is neither', async () => {
      const service = await setup()
      const runner_id = await service.register()
      expect((await service.delete(`/runners/${runner_id}?self=maybe`)).status).toBe(422)
      expect(await service.delete(`/runners/${runner_id}?self=false`)).toMatchObject({
        body: MARKED,
      })
    })
  })
}
