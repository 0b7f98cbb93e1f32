/** What executors tell of a session, and what it came to: …/events and …/result. */
import { describe, expect, test } from 'vitest'
import type { SessionEvent } from '../../src/queue/session.ts'
import { type Body, expectInvalid, expectRefusal } from './support/api.ts'
import type { Held, Service, Setup } from './support/service.ts'

const TIMESTAMP = '2026-01-31T12:00:00.123456+00:00'

const tell = ({ post }: Service, session_id: string, event: Body) =>
  post(`/sessions/${session_id}/events`, { session_id, timestamp: TIMESTAMP, ...event })

async function eventsOf({ get }: Service, session_id: string): Promise<SessionEvent[]> {
  return (await get<{ events: SessionEvent[] }>(`/sessions/${session_id}/events`)).body.events
}

const says = (text: string, role = 'assistant') => ({
  ...{ event_type: 'message', role },
  content: [{ type: 'text', text }],
})

export function describeSessionEvents(setup: Setup): void {
  describe('/sessions/{id}/events', () => {
    test('an event, with every key', async () => {
      const service = await setup()
      const { session_id } = await service.addRun()
      const event = {
        ...{ event_type: 'post_tool', tool_name: 'read', tool_input: { path: '/x' } },
        ...{ tool_output: ['text', 5, null] },
      }
      const answer = await tell(service, session_id, { ...event, error: null, flavour: 'x' })
      expect(answer.status).toBe(201)
      expect(answer.body).toEqual({ ok: true })
      const told = await service.get(`/sessions/${session_id}/events`)
      expect(told.status).toBe(200)
      expect(told.body).toEqual({
        events: [
          {
            ...{ id: expect.any(Number), session_id, timestamp: TIMESTAMP },
            ...{ error: null, exit_code: null, reason: null, role: null, content: null },
            ...{ result_text: null, result_data: null },
            ...event,
          },
        ],
      })
    })

    test.each([
      ['message', { role: 'user', content: [{ type: 'text', text: 'hello' }] }],
      ['result', { result_text: 'done', result_data: { n: 1 } }],
      ['result', { result_text: null, result_data: [1, 2] }],
      ['session_stop', { exit_code: 0, reason: 'completed' }],
      ['whatever', {}],
    ])('of any type: %s %j', async (event_type, facts) => {
      const service = await setup()
      const { session_id } = await service.addRun()
      expect((await tell(service, session_id, { event_type, ...facts })).status).toBe(201)
      expect(await eventsOf(service, session_id)).toMatchObject([{ event_type, ...facts }])
    })

    test('refusals', async () => {
      const service = await setup()
      const { session_id } = await service.addRun()
      for (const field of ['event_type', 'session_id', 'timestamp']) {
        const event = { event_type: 'message', [field]: undefined }
        expectInvalid(await tell(service, session_id, event), ['body', field])
      }
      const elsewhere = await tell(service, session_id, { ...says('x'), session_id: 'other' })
      const detail = 'Event session_id must match URL session_id'
      expectRefusal(elsewhere, 400, 'session_id_mismatch', detail)
      expect(await eventsOf(service, session_id)).toEqual([])
    })

    test('oldest first in the order in which they came, at most 100', async () => {
      const service = await setup()
      const { session_id } = await service.addRun()
      for (let n = 0; n < 101; n += 1) {
        const timestamp = n % 2 ? '2026-01-31T12:00:00.000Z' : '2026-01-31T12:00:00.000001+00:00'
        await tell(service, session_id, { ...says(`${n}`), timestamp })
      }
      const events = await eventsOf(service, session_id)
      expect(events.map(({ content }) => content)).toEqual(
        Array.from({ length: 100 }, (_, n) => says(`${n}`).content),
      )
    })

    test('text that databases cannot keep is mended, since executors do not ask twice', async () => {
      const service = await setup()
      const { session_id } = await service.addRun()
      const event = { ...says('a\0b\ud800c'), tool_input: { 'k\0': ['\udfff'] } }
      expect((await tell(service, session_id, event)).status).toBe(201)
      expect(await eventsOf(service, session_id)).toMatchObject([
        { ...says('a\ufffdb\ufffdc'), tool_input: { 'k\ufffd': ['\ufffd'] } },
      ])
    })
  })

  describe('GET /sessions/{id}/result', () => {
    const resultOf = ({ get }: Service, { run }: Held) => get(`/sessions/${run.session_id}/result`)

    async function expectResult(service: Service, held: Held, text: unknown, data: unknown) {
      const answer = await resultOf(service, held)
      expect(answer.status).toBe(200)
      // `result` is what the older generation reads; it prints null as a word.
      expect(answer.body).toEqual({ result_text: text, result_data: data, result: text ?? '' })
    }

    test('not finished, and without a result', async () => {
      const service = await setup()
      const held = await service.begin()
      const early = await resultOf(service, held)
      expectRefusal(early, 400, 'session_not_finished', 'Session not finished or idle')
      await service.report('completed', held)
      const none = await resultOf(service, held)
      expectRefusal(none, 404, 'result_not_found', 'No result found')
    })

    test.each(['failed', 'stopped'])('of a session that has %s', async (how) => {
      const service = await setup()
      const held = await service.begin()
      await service.report(how, held, { error: 'broken' })
      expectRefusal(await resultOf(service, held), 400, 'session_not_finished')
    })

    test('as the runner reported it', async () => {
      const service = await setup()
      const held = await service.begin()
      await tell(service, held.run.session_id, { event_type: 'result', result_text: 'event' })
      await service.report('completed', held, {
        ...{ session_status: 'idle', result: { text: 'done', data: { n: 1 } } },
      })
      await expectResult(service, held, 'done', { n: 1 })
    })

    test.each([
      ['done', { n: 1 }],
      ['done', null],
      [null, [1, 2]],
    ])('as a result event told it: %j %j', async (result_text, result_data) => {
      const service = await setup()
      const held = await service.begin()
      const { session_id } = held.run
      await tell(service, session_id, { event_type: 'result', result_text: 'earlier' })
      await tell(service, session_id, { event_type: 'result', result_text, result_data })
      await tell(service, session_id, says('bye'))
      await service.report('completed', held)
      await expectResult(service, held, result_text, result_data)
    })

    test('else the last message of the assistant', async () => {
      const service = await setup()
      const held = await service.begin()
      await tell(service, held.run.session_id, says('first'))
      await tell(service, held.run.session_id, says('last'))
      await tell(service, held.run.session_id, says('thanks', 'user'))
      await service.report('completed', held)
      await expectResult(service, held, 'last', null)
    })

    test('of the latest finished run', async () => {
      const service = await setup()
      const first = await service.begin()
      const { runner_id, run } = first
      const { session_id } = run
      await tell(service, session_id, { event_type: 'result', result_text: 'first' })
      await service.report('completed', first, { session_status: 'idle' })
      await expectResult(service, first, 'first', null)
      service.clock.advance(1)
      const second = await service.begin({ type: 'resume_session', session_id }, runner_id)
      await tell(service, session_id, says('second'))
      expect((await resultOf(service, first)).status).toBe(400)
      await service.report('completed', second)
      await expectResult(service, first, 'second', null)
    })

    test('an event that comes before the start is the run’s, too', async () => {
      const service = await setup()
      const held = await service.hold()
      await tell(service, held.run.session_id, { event_type: 'result', result_text: 'quick' })
      await service.report('completed', held)
      await service.report('started', held)
      await expectResult(service, held, 'quick', null)
    })
  })
}
