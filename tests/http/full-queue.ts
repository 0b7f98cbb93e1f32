/** A server that takes so many pending runs and no more; chains of parents that grow too long. */
import { describe, expect, test } from 'vitest'
import { type Answer, expectRefusal } from './support/api.ts'
import type { Setup } from './support/service.ts'

const FULL_AT_2 = { config: { maxPending: 2 } }
const RUN = { type: 'start_session', prompt: 'hello' }

function expectFull(answer: Answer): void {
  expectRefusal(answer, 503, 'queue_full')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
}

export function describeFullQueue(setup: Setup): void {
  describe('a full queue', () => {
    test('refuses what is added, and stores nothing', async () => {
      const service = await setup(FULL_AT_2)
      for (let i = 0; i < 2; i++) await service.addRun()
      const before = await service.everything()
      expectFull(await service.post('/runs', RUN))
      expectFull(await service.post('/runs/batch', { runs: [RUN] }))
      expect(await service.everything()).toEqual(before)
      await service.claim(await service.register())
      await service.addRun()
    })

    test('refuses a batch that does not fit as a whole', async () => {
      const service = await setup(FULL_AT_2)
      await service.addRun()
      const before = await service.everything()
      const answer = await service.post('/runs/batch', { runs: [RUN, RUN] })
      expectFull(answer)
      expect(answer.body['message']).toMatch(/^run 1: The queue is full/)
      expect(await service.everything()).toEqual(before)
      expect((await service.post('/runs/batch', { runs: [RUN] })).status).toBe(201)
    })

    test('refuses a retry', async () => {
      const service = await setup(FULL_AT_2)
      const { run_id } = await service.addRun()
      await service.post(`/runs/${run_id}/stop`)
      for (let i = 0; i < 2; i++) await service.addRun()
      const before = await service.everything()
      expectFull(await service.post(`/runs/${run_id}/retry`))
      expect(await service.everything()).toEqual(before)
    })

    test('answers a repeated request as ever', async () => {
      const service = await setup(FULL_AT_2)
      const body = { ...RUN, idempotency_key: 'once' }
      const first = await service.post('/runs', body)
      await service.addRun()
      expect(await service.post('/runs', body)).toMatchObject({ status: 200, body: first.body })
    })
  })

  test('a chain of parents that is too long is refused', async () => {
    const service = await setup()
    let parent_session_id: string | null = null
    for (let i = 0; i < 33; i++) {
      parent_session_id = (await service.addRun({ parent_session_id })).session_id
    }
    const before = await service.everything()
    const answer = await service.post('/runs', { ...RUN, parent_session_id })
    expectRefusal(answer, 409, 'parent_too_deep')
    expect(answer.body['message']).toContain('a run may have 32 at most')
    expect(await service.everything()).toEqual(before)
  })
}
