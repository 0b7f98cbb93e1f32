/** GET /runs/:id/events: what happened to a run, and by whom. */
import { describe, expect, it } from 'vitest'
import { newToken, tokenHash } from '../../src/queue/token.ts'
import { aNewToken } from '../support/factories.ts'
import { type Body, expectInvalid, expectRefusal } from './support/api.ts'
import type { Service, Setup } from './support/service.ts'

const eventsOf = async ({ get }: Service, run_id: string, query = '') =>
  (await get<{ events: Body[]; next_cursor: string | null }>(`/runs/${run_id}/events${query}`)).body

export function describeHistory(setup: Setup): void {
  describe('GET /runs/:id/events', () => {
    it('tells each change, oldest first, with every key', async () => {
      const service = await setup()
      const held = await service.begin()
      const { run_id } = held.run
      await service.report('failed', held, { error: 'boom' })
      const { events, next_cursor } = await eventsOf(service, run_id)
      expect(next_cursor).toBeNull()
      expect(events.map(({ cause }) => cause)).toEqual(['added', 'claimed', 'started', 'failed'])
      expect(events.at(-1)).toEqual({
        ...{ event_id: expect.any(Number), run_id, at: service.clock.now() },
        ...{ from_status: 'running', to_status: 'failed', cause: 'failed', changed_by: 'runner' },
        ...{ runner_id: held.runner_id, attempt: 1, detail: 'boom' },
      })
    })

    it('goes on at a cursor, and refuses what is none', async () => {
      const service = await setup()
      const { run } = await service.begin()
      const all = await eventsOf(service, run.run_id)
      const first = await eventsOf(service, run.run_id, '?limit=2')
      const cursor = encodeURIComponent(first.next_cursor ?? '')
      const rest = await eventsOf(service, run.run_id, `?limit=2&cursor=${cursor}`)
      expect([...first.events, ...rest.events]).toEqual(all.events)
      expect(rest.next_cursor).toBeNull()
      const path = `/runs/${run.run_id}/events`
      expectRefusal(await service.get(`${path}?cursor=x`), 422, 'invalid_cursor')
      expectInvalid(await service.get(`${path}?limit=1001`), ['query', 'limit'])
    })

    it('of a run that does not exist is refused', async () => {
      const { get } = await setup()
      expectRefusal(await get('/runs/run_unknown/events'), 404, 'run_not_found')
    })

    it('names the token of whoever added, stopped or retried it', async () => {
      const { engine, clock, post, get } = await setup()
      const token = newToken()
      const facts = { role: 'client', name: 'nightly', token_hash: tokenHash(token) } as const
      await engine.tokens.create(aNewToken(facts), clock.now())
      const init = { headers: { authorization: `Bearer ${token}` } }
      const run = { type: 'start_session', prompt: 'hello' }
      const added = await post<{ run_id: string }>('/runs', run, init)
      const { run_id } = added.body
      await post(`/runs/${run_id}/stop`, {}, init)
      const again = await post<{ run_id: string }>(`/runs/${run_id}/retry`, {}, init)
      for (const id of [run_id, again.body.run_id]) {
        const { events } = (await get<{ events: Body[] }>(`/runs/${id}/events`, init)).body
        const by = new Set(events.map(({ changed_by }) => changed_by))
        expect([...by]).toEqual(['client:nightly'])
      }
    })
  })
}
