/** Runs that wait for their time, and what becomes of attempts: over HTTP. */
import { describe, expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { secondsBetween } from '../../src/queue/time.ts'
import { type Body, expectInvalid } from './support/api.ts'
import { type Setup, shared } from './support/service.ts'

export function describeDelays(setup: Setup): void {
  const given = shared(setup)
  const aRun = (facts: Body = {}) => ({ type: 'start_session', prompt: 'hello', ...facts })

  describe('POST /runs: its time', () => {
    test.each([
      [{ delay_seconds: 90 }, '2026-01-31T12:01:30.000Z'],
      [{ delay_seconds: 0.25 }, '2026-01-31T12:00:00.250Z'],
      [{ available_at: '2026-01-31T14:00:00+01:00' }, '2026-01-31T13:00:00.000Z'],
      [{ available_at: '2026-02-28T07:30Z' }, '2026-02-28T07:30:00.000Z'],
      [{ delay_seconds: 5, available_at: null }, '2026-01-31T12:00:05.000Z'],
      [{ delay_seconds: null, available_at: '2026-01-31T12:00:05Z' }, '2026-01-31T12:00:05.000Z'],
      [{ delay_seconds: 0 }, null],
      [{ available_at: '2026-01-31T12:00:00Z' }, null],
      [{ available_at: '1999-01-31T12:00:00Z' }, null],
    ])('%j', async (facts, available_at) => {
      const { addRun, run } = await given()
      const added = await addRun({ ...facts, additional_demands: { hostname: 'nobody' } })
      expect(added.status).toBe('pending')
      const stored = await run(added.run_id)
      expect(stored.available_at).toBe(available_at)
      expect(
        secondsBetween(stored.available_at ?? stored.created_at, stored.timeout_at ?? ''),
      ).toBe(300)
    })

    test('before it nobody gets the run, then a runner does', async () => {
      const { addRun, register, claim, engine, clock } = await setup()
      const runner_id = await register()
      const { run_id } = await addRun({ delay_seconds: 10 })
      expect((await claim(runner_id)).runs).toEqual([])
      await engine.runs.makeAvailable(clock.advance(10), 10)
      const { runs } = await claim(runner_id)
      expect(runs).toMatchObject([{ run_id, available_at: null }])
    })

    test('in a batch each has its own', async () => {
      const { post, runs } = await setup()
      const batch = [aRun({ delay_seconds: 60 }), aRun(), aRun({ delay_seconds: 30 })]
      expect((await post('/runs/batch', { runs: batch })).status).toBe(201)
      expect((await runs()).map(({ available_at }) => available_at)).toEqual([
        '2026-01-31T12:00:30.000Z',
        null,
        '2026-01-31T12:01:00.000Z',
      ])
    })

    test('a repeated request with a delay leads to the first run', async () => {
      const { post, clock } = await setup()
      const body = aRun({ delay_seconds: 60, idempotency_key: 'once' })
      const first = await post('/runs', body)
      clock.advance(5)
      expect(await post('/runs', body)).toMatchObject({ status: 200, body: first.body })
    })

    test.each([
      ['available_at', { available_at: 'tomorrow' }],
      ['available_at', { available_at: '2026-01-31T12:00:00' }],
      ['available_at', { available_at: '2026-02-30T12:00:00Z' }],
      ['available_at', { available_at: 1769860800 }],
      ['available_at', { available_at: '2027-01-31T12:00:00.001Z' }],
      ['available_at', { available_at: '2026-01-31T13:00:00Z', delay_seconds: 5 }],
      ['available_at', { available_at: '2026-01-31T13:00:00Z', delay_seconds: 0 }],
      ['delay_seconds', { delay_seconds: -1 }],
      ['delay_seconds', { delay_seconds: 31_536_001 }],
      ['delay_seconds', { delay_seconds: '5' }],
      ['retry_delay_seconds', { retry_delay_seconds: -0.1 }],
      ['retry_delay_seconds', { retry_delay_seconds: 86_401 }],
      ['retry_delay_seconds', { retry_delay_seconds: true }],
      ['on_lost', { on_lost: 'retry', max_attempts: 2 }],
      ['on_lost', { on_lost: 'requeue' }],
      ['on_lost', { on_lost: 'requeue', max_attempts: 1 }],
      ['on_lost', { on_lost: 'requeue', max_attempts: null }],
    ])('refused for its %s: %j', async (field, facts) => {
      const service = await given()
      const before = await service.everything()
      expectInvalid(await service.post('/runs', aRun(facts)), ['body', field])
      const batch = { runs: [aRun(), aRun(facts)] }
      expectInvalid(await service.post('/runs/batch', batch), ['body', 'runs', 1, field])
      expect(await service.everything()).toEqual(before)
    })

    test('the refusal of a requeue says what it needs', async () => {
      const { post } = await given()
      const { body } = await post('/runs', aRun({ on_lost: 'requeue' }))
      expect(body['message']).toContain('needs max_attempts of at least 2')
    })
  })

  describe('attempts', () => {
    test('every answer says how a run is tried again', async () => {
      const { addRun, run, get, register, claim } = await setup()
      const facts = { max_attempts: 2, retry_delay_seconds: 2.5, on_lost: 'requeue' }
      const { run_id } = await addRun(facts)
      expect(await run(run_id)).toMatchObject({ ...facts, available_at: null })
      const { body } = await get<{ runs: RunView[] }>('/runs')
      expect(body.runs).toMatchObject([facts])
      expect((await claim(await register())).runs).toMatchObject([facts])
    })

    test('a failed one is tried again after its delay', async () => {
      const service = await setup()
      const { clock, engine } = service
      const held = await service.begin({ max_attempts: 2, retry_delay_seconds: 60 })
      const { run_id, session_id } = held.run
      expect((await service.report('failed', held, { error: 'once' })).status).toBe(200)
      const waiting = await service.run(run_id)
      expect(waiting).toMatchObject({ status: 'pending', error: 'once', attempt: 1 })
      const waits = secondsBetween(clock.now(), waiting.available_at ?? '')
      expect(waits).toBeGreaterThanOrEqual(60)
      expect(waits).toBeLessThanOrEqual(75)
      expect((await service.session(session_id)).status).toBe('pending')
      expect((await service.claim(held.runner_id)).runs).toEqual([])
      await engine.runs.makeAvailable(clock.advance(75), 10)
      expect((await service.claim(held.runner_id)).runs).toMatchObject([{ run_id, attempt: 2 }])
    })

    test.each([
      ['fail', 'failed'],
      ['requeue', 'pending'],
    ])('a runner that leaves, on_lost %s: the run is %s', async (on_lost, status) => {
      const service = await setup()
      const { run, runner_id } = await service.begin({ max_attempts: 2, on_lost })
      await service.delete(`/runners/${runner_id}?self=true`)
      expect((await service.run(run.run_id)).status).toBe(status)
    })

    test.each([
      ['fail', 'failed'],
      ['requeue', 'pending'],
    ])('a runner that is told to go, on_lost %s: the run is %s', async (on_lost, status) => {
      const service = await setup()
      const { run, runner_id } = await service.begin({ max_attempts: 2, on_lost })
      await service.delete(`/runners/${runner_id}`)
      expect((await service.poll(runner_id)).body).toEqual({ deregistered: true })
      expect((await service.run(run.run_id)).status).toBe(status)
    })

    test('a run that waits for its time is stopped at once', async () => {
      const { addRun, post, run } = await setup()
      const { run_id } = await addRun({ delay_seconds: 60 })
      expect((await post(`/runs/${run_id}/stop`)).body).toMatchObject({ status: 'stopped' })
      expect(await run(run_id)).toMatchObject({ status: 'stopped', available_at: null })
    })
  })
}
