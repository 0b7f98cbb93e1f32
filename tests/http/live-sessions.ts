/** GET /sse/sessions: sessions followed live, as existing clients do. */
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/queue/session.ts'
import { type Body, expectInvalid, expectRefusal } from './support/api.ts'
import { openDeafStream, openStream, type StreamFrame } from './support/event-stream.ts'
import type { Service, Setup } from './support/service.ts'

const follow = ({ url }: { url: string }, query = '', headers = {}) =>
  openStream(`${url}/sse/sessions${query}`, headers)
const events = (frames: StreamFrame[]) => frames.map(({ event }) => event)
const ABBREVIATIONS: Record<string, string> = {
  ...{ init: 'ini', session_created: 'scr', session_updated: 'sup', session_deleted: 'sdl' },
  ...{ event: 'evt', run_failed: 'rfl' },
}

function expectIds(frames: StreamFrame[]): void {
  for (const { id, event } of frames) {
    expect(id).toMatch(new RegExp(`^\\d{13}-${ABBREVIATIONS[event]}-\\d{3,}$`))
  }
  const numbers = frames.map(({ id }) => Number(id.split('-')[2]))
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  expect(new Set(frames.map(({ id }) => id)).size).toBe(frames.length)
}

const tell = ({ post, clock }: Service, session_id: string, facts: Body = {}) =>
  post(`/sessions/${session_id}/events`, {
    ...{ session_id, event_type: 'message', timestamp: clock.now(), role: 'assistant' },
    ...facts,
  })

export function describeLiveSessions(setup: Setup): void {
  describe('GET /sse/sessions', () => {
    test('begins with all sessions, and tells what becomes of them', async () => {
      const service = await setup()
      const { get, post, send, session } = service
      const old = await service.addRun()
      const stream = await follow(service)
      const [init] = await stream.take(1)
      expect(init).toMatchObject({ event: 'init' })
      expect(init?.data).toEqual({ sessions: [await session(old.session_id)] })
      const { session_id } = await service.addRun({ agent_name: 'writer' })
      const created = await session(session_id)
      await tell(service, session_id, { content: 'line one\nline two' })
      await post(`/sessions/${session_id}/stop`)
      const stopped = await session(session_id)
      const told = (await get<{ events: Body[] }>(`/sessions/${session_id}/events`)).body.events
      const frames = await stream.take(3)
      await send('DELETE', `/sessions/${session_id}`)
      frames.push(...(await stream.take(1)))
      expect(frames.map(({ event, data }) => [event, data])).toEqual([
        ['session_created', { session: created }],
        ['event', { data: told[0] }],
        ['session_updated', { session: stopped }],
        ['session_deleted', { session_id }],
      ])
      expectIds([init ?? [], ...frames].flat())
    })

    test('tells of runs that nobody took in time, or whose runner was lost', async () => {
      const service = await setup()
      const stream = await follow(service, '?include_init=false')
      const lost = await service.begin()
      await service.send('DELETE', `/runners/${lost.runner_id}?self=true`)
      const late = await service.addRun({ additional_demands: { tags: ['nobody'] } })
      const { engine, clock } = service
      await engine.runs.failTimedOut(clock.advance(3600), 10)
      const failed: StreamFrame[] = []
      while (failed.length < 2) {
        failed.push(...(await stream.take(1)).filter(({ event }) => event === 'run_failed'))
      }
      const { run_id, session_id } = lost.run
      expect(failed.map(({ data }) => data)).toEqual([
        { run_id, session_id, error: 'Runner disconnected during execution' },
        {
          ...{ run_id: late.run_id, session_id: late.session_id },
          error: 'No matching runner available within timeout',
        },
      ])
      expectIds(failed)
    })

    test('tells of one session, where that is asked for', async () => {
      const service = await setup()
      const { session_id } = await service.addRun()
      const other = await service.addRun()
      const stream = await follow(service, `?session_id=${session_id}`)
      const [init] = await stream.take(1)
      const { sessions = [] } = (init?.data ?? {}) as { sessions?: Session[] }
      expect(sessions.map((each) => each.session_id)).toEqual([session_id])
      await tell(service, other.session_id)
      await tell(service, session_id)
      const [event] = await stream.take(1)
      expect(event?.data).toMatchObject({ data: { session_id } })
      const unknown = await follow(service, '?session_id=ses_unknown')
      expect((await unknown.take(1))[0]?.data).toEqual({ sessions: [] })
    })

    test('tells a client that comes again what it missed, on another server too', async () => {
      const first = await setup()
      const service = await first.another()
      const stream = await follow(first)
      const { session_id } = await service.addRun()
      await tell(service, session_id)
      const frames = await stream.take(3)
      await first.close()
      await stream.ended
      await service.post(`/sessions/${session_id}/stop`)
      for (const [index, { id }] of frames.entries()) {
        const again = await follow(service, '', { 'last-event-id': id })
        const missed = await again.take(3 - index)
        expect(missed.slice(0, -1)).toEqual(frames.slice(index + 1))
        expect(missed.at(-1)?.event).toBe('session_updated')
        again.leave()
      }
    })

    test('of two servers tells the same, in the same order and with the same ids', async () => {
      const service = await setup()
      const other = await service.another()
      const streams = [
        await follow(service, '?include_init=false'),
        await follow(other, '?include_init=false'),
      ]
      await Promise.all([
        ...Array.from({ length: 10 }, () => service.addRun()),
        ...Array.from({ length: 10 }, () => other.addRun()),
      ])
      const [here, there] = await Promise.all(streams.map((stream) => stream.take(20)))
      expect(here).toEqual(there)
      expect(new Set(events(here ?? []))).toEqual(new Set(['session_created']))
      expectIds(here ?? [])
    })

    test('begins anew for a client that comes again when some of what it missed is not kept', async () => {
      const service = await setup()
      const { engine, clock } = service
      const stream = await follow(service)
      await service.addRun()
      const [, created] = await stream.take(2)
      stream.leave()
      expect(await engine.sessionFeed.rest(clock.ahead(3600))).toBe(true)
      await service.addRun()
      const headers = { 'last-event-id': created?.id ?? '' }
      const again = await follow(service, '', headers)
      const [init] = await again.take(1)
      expect(init?.event).toBe('init')
      expect(init?.data).toMatchObject({ sessions: [{}, {}] })
      await service.addRun()
      expect(events(await again.take(1))).toEqual(['session_created'])
      // Without one it goes on with what there is.
      const rest = await follow(service, '?include_init=false', headers)
      expect(events(await rest.take(1))).toEqual(['session_created'])
    })

    test('refuses ids that are none of its own', async () => {
      const { get } = await setup()
      for (const id of ['x', '1-scr-001', '1738324800000-abc-001', '1738324800000-scr-999999']) {
        const init = { headers: { 'last-event-id': id } }
        expectRefusal(await get('/sse/sessions', init), 400, 'unknown_event_id')
      }
      expectInvalid(await get('/sse/sessions?include_init=maybe'), ['query', 'include_init'])
    })

    test('cuts a reader that is too slow, and lets it catch up at its own pace', async () => {
      // The reader is in this process, and a busy machine may keep that from reading for a while.
      const limits = { bufferBytes: 200_000, stallMs: 1_000 }
      const service = await setup({ streamLimits: limits, config: { maxWaiting: 2 } })
      const { session_id } = await service.addRun()
      const quick = await follow(service, '?include_init=false')
      const deaf = await openDeafStream(service.url, '/sse/sessions')
      const content = 'x'.repeat(1_000_000)
      let sent = 0
      for (; sent < 12; sent += 1) {
        await tell(service, session_id, { content })
        await quick.take(1)
      }
      await deaf.cut
      // Its place is free, and what is read by and by is all there.
      const again = await follow(service, '', { 'last-event-id': '1738324800000-ini-000' })
      expect(await again.take(sent)).toHaveLength(sent)
      again.leave()
      // One that catches up and takes nothing does not hold its place either.
      await openDeafStream(service.url, '/sse/sessions?last_event_id=1738324800000-ini-000').then(
        ({ cut }) => cut,
      )
    })
  })
}
