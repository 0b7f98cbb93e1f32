/** POST /runs/batch, and idempotency keys. */
import { describe, expect, test } from 'vitest'
import { type Answer, type Body, expectInvalid, expectRefusal } from './support/api.ts'
import type { Added, Setup } from './support/service.ts'

export function describeAddingMany(setup: Setup): void {
  const aRun = (facts: Body = {}) => ({ type: 'start_session', prompt: 'hello', ...facts })

  describe('POST /runs/batch', () => {
    test('adds all, in order', async () => {
      const { post, runs } = await setup()
      const answer = await post<{ runs: Added[] }>('/runs/batch', {
        runs: [aRun({ prompt: 'one' }), aRun({ session_id: 'mine', prompt: 'two' })],
      })
      const id = expect.stringMatching(/^run_[0-9a-f]{12}$/)
      expect(answer).toMatchObject({
        status: 201,
        body: {
          runs: [
            { run_id: id, session_id: expect.stringMatching(/^ses_/), status: 'pending' },
            { run_id: id, session_id: 'mine', status: 'pending' },
          ],
        },
      })
      expect((await runs()).map(({ prompt }) => prompt)).toEqual(['two', 'one'])
    })

    test('a run may resume the session that one before it starts', async () => {
      const { post, runs } = await setup()
      const session_id = 'mine'
      const batch = [aRun({ session_id }), aRun({ type: 'resume_session', session_id })]
      expect((await post('/runs/batch', { runs: batch })).status).toBe(201)
      expect(await runs('session_id=mine')).toHaveLength(2)
    })

    test.each([
      ['ill-typed', { prompt: 5 }, 422],
      ['without a prompt', { prompt: '' }, 400],
      ['of an unknown session', { type: 'resume_session', session_id: 'ses_gone' }, 404],
      ['of a session that exists', { session_id: 'taken' }, 409],
    ])('one that is refused refuses all: %s', async (_, facts, status) => {
      const service = await setup()
      await service.addRun({ session_id: 'taken' })
      const before = await service.everything()
      const answer = await service.post('/runs/batch', { runs: [aRun(), aRun(facts), aRun()] })
      expect(answer.status).toBe(status)
      expectRefusal(answer, status, answer.body['code'] as string)
      expect(await service.everything()).toEqual(before)
    })

    test('the refusal names the run', async () => {
      const { post } = await setup()
      const invalid = await post('/runs/batch', { runs: [aRun(), aRun({ prompt: 5 })] })
      expectInvalid(invalid, ['body', 'runs', 1, 'prompt'])
      const gone = aRun({ type: 'resume_session', session_id: 'ses_gone' })
      const unknown = await post('/runs/batch', { runs: [aRun(), gone] })
      expect(unknown.body['message']).toMatch(/^run 1: /)
    })

    test('of 1 to 1000', async () => {
      const { post, runs } = await setup()
      const many = Array.from({ length: 1001 }, () => aRun())
      for (const batch of [[], many, 'many', null]) {
        expectInvalid(await post('/runs/batch', { runs: batch }), ['body', 'runs'])
      }
      expect(await runs()).toEqual([])
    })
  })

  describe('idempotency keys', () => {
    const byBody = (key: string, facts: Body) => [{ ...facts, idempotency_key: key }, {}] as const
    const byHeader = (key: string, facts: Body) =>
      [facts, { headers: { 'idempotency-key': key } }] as const

    test.each([
      ['in the body', byBody, byBody],
      ['in the header', byHeader, byHeader],
      ['first in the one, then in the other', byBody, byHeader],
    ])('%s: the first run, once', async (_, first, second) => {
      const { post, runs } = await setup()
      const added = await post<Added>('/runs', ...first('once', aRun({ scope: { a: 1, b: 2 } })))
      expect(added.status).toBe(201)
      const again = aRun({ scope: { b: 2, a: 1 } })
      const repeated = await post<Added>('/runs', ...second('once', again))
      expect(repeated).toMatchObject({ status: 200, body: added.body })
      expect(await runs()).toHaveLength(1)
    })

    test('also after the run has moved on, and on another server', async () => {
      const service = await setup()
      const body = aRun({ session_id: 'mine', idempotency_key: 'once' })
      const { body: added } = await service.post<Added>('/runs', body)
      await service.post(`/runs/${added.run_id}/stop`)
      const other = await service.another()
      expect(await other.post('/runs', body)).toMatchObject({
        status: 200,
        body: { run_id: added.run_id, session_id: 'mine', status: 'stopped' },
      })
    })

    test('another body: 409, and nothing is stored', async () => {
      const service = await setup()
      await service.addRun({ idempotency_key: 'once' })
      const before = await service.everything()
      for (const facts of [{ prompt: 'other' }, { session_id: 'mine' }, { priority: 1 }]) {
        const answer = await service.post('/runs', aRun({ ...facts, idempotency_key: 'once' }))
        expectRefusal(answer, 409, 'idempotency_conflict')
      }
      expect(await service.everything()).toEqual(before)
    })

    test('a request that was refused leaves its key free', async () => {
      const { post, addRun } = await setup()
      const gone = aRun({ type: 'resume_session', session_id: 'ses_gone', idempotency_key: 'once' })
      expect((await post('/runs', gone)).status).toBe(404)
      await addRun({ idempotency_key: 'once' })
    })

    test('twenty at once add one run', async () => {
      const { post, runs, another } = await setup()
      const other = await another()
      const body = aRun({ idempotency_key: 'once' })
      const answers: Answer<Added>[] = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? post : other.post)<Added>('/runs', body)),
      )
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(19)
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect(await runs()).toHaveLength(1)
    })

    test('in a batch', async () => {
      const { post, runs } = await setup()
      const batch = { runs: [aRun({ idempotency_key: 'a' }), aRun({ idempotency_key: 'b' })] }
      const first = await post('/runs/batch', batch)
      expect((await post('/runs/batch', batch)).body).toEqual(first.body)
      expect(await runs()).toHaveLength(2)
    })

    test('a key is 1 to 200 characters', async () => {
      const service = await setup()
      for (const key of ['', 'k'.repeat(201)]) {
        const headers = { 'idempotency-key': key }
        expectInvalid(await service.post('/runs', aRun(), { headers }))
        expectInvalid(await service.post('/runs', aRun({ idempotency_key: key })))
      }
      expect(await service.runs()).toEqual([])
    })
  })
}
