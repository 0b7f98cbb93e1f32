/** GET /events: runs followed live. */
import { describe, expect, test } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import type { LiveRunEvent } from '../../src/queue/run-event.ts'
import { newToken, tokenHash } from '../../src/queue/token.ts'
import { aNewRun, aNewToken } from '../support/factories.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import { openStream, type StreamFrame } from './support/event-stream.ts'
import type { Service, Setup } from './support/service.ts'

type Frame = StreamFrame<LiveRunEvent>
const follow = ({ url }: { url: string }, query = '', headers = {}) =>
  openStream<LiveRunEvent>(`${url}/events${query}`, headers)
const words = (frames: Frame[]) => frames.map(({ event, data }) => `${data.run_id} ${event}`)
const id = ({ id }: Frame) => ({ 'last-event-id': id })

/** Counts the reads of the feed, and who listens. */
function counting() {
  const counts = { reads: 0, listeners: 0 }
  const wrap = ({ runFeed, changes, ...engine }: Engine): Engine => ({
    ...engine,
    runFeed: {
      end: () => runFeed.end(),
      read: (...given) => {
        counts.reads += 1
        return runFeed.read(...given)
      },
    },
    changes: {
      subscribe(listener) {
        counts.listeners += 1
        const stop = changes.subscribe(listener)
        return () => {
          counts.listeners -= 1
          stop()
        }
      },
    },
  })
  return { counts, wrap }
}

const addMany = ({ engine, clock }: Service, count: number) =>
  engine.runs.addMany(
    Array.from({ length: count }, () => aNewRun()),
    clock.now(),
  )

export function describeLiveRuns(setup: Setup): void {
  describe('GET /events', () => {
    test('tells what happens to runs, by whichever server, with every key', async () => {
      const service = await setup()
      const other = await service.another()
      const streams = [await follow(service), await follow(other), await follow(other)]
      const { headers } = streams[0] ?? { headers: new Headers() }
      expect(headers.get('content-type')).toBe('text/event-stream')
      expect(headers.get('cache-control')).toBe('no-cache')
      const held = await service.begin()
      await other.report('failed', held, { error: 'line one\nline two' })
      const { run_id, session_id } = held.run
      for (const stream of streams) {
        const frames = await stream.take(4)
        const statuses = ['pending', 'claimed', 'running', 'failed']
        expect(words(frames)).toEqual(statuses.map((status) => `${run_id} ${status}`))
        expect(new Set(frames.map((frame) => frame.id)).size).toBe(4)
        expect(frames[3]?.data).toEqual({
          ...{ event_id: expect.any(Number), run_id, session_id, at: service.clock.now() },
          ...{ from_status: 'running', to_status: 'failed', cause: 'failed', attempt: 1 },
          ...{ changed_by: 'runner', runner_id: held.runner_id, detail: 'line one\nline two' },
        })
      }
    })

    test('tells only of the run, the session or the statuses that are asked for', async () => {
      const service = await setup()
      const { run, runner_id } = await service.begin()
      const streams = await Promise.all([
        follow(service, `?run_id=${run.run_id}`),
        follow(service, `?session_id=${run.session_id}`),
        follow(service, '?status=completed,%20claimed'),
      ])
      const other = await service.hold({}, runner_id)
      await service.report('completed', { run, runner_id })
      expect(words((await streams[0]?.take(1)) ?? [])).toEqual([`${run.run_id} completed`])
      expect(words((await streams[1]?.take(1)) ?? [])).toEqual([`${run.run_id} completed`])
      expect(words((await streams[2]?.take(2)) ?? [])).toEqual([
        `${other.run.run_id} claimed`,
        `${run.run_id} completed`,
      ])
    })

    test('refuses what it does not know, and holds nothing for it', async () => {
      const { get } = await setup({ config: { maxWaiting: 1 } })
      expectRefusal(await get('/events?run_id=run_unknown'), 404, 'run_not_found')
      expectInvalid(await get('/events?status=pending,done'), ['query', 'status', 1])
      for (const init of [{ headers: { 'last-event-id': 'nonsense' } }, {}]) {
        const answer = await get('/events?last_event_id=999999999', init)
        expectRefusal(answer, 400, 'unknown_event_id')
      }
    })

    test('tells a client that comes again what it missed, on another server too', async () => {
      const first = await setup()
      const service = await first.another()
      const stream = await follow(first)
      const held = await service.begin()
      const frames = await stream.take(3)
      await first.close()
      await stream.ended
      await service.report('completed', held)
      const { run_id } = held.run
      for (const [index, frame] of frames.entries()) {
        const again = await follow(service, '?last_event_id=nonsense', id(frame))
        const missed = await again.take(3 - index)
        expect(words(missed)).toEqual([...words(frames.slice(index + 1)), `${run_id} completed`])
        again.leave()
      }
      const again = await follow(service, `?last_event_id=${frames[2]?.id}`)
      expect(words(await again.take(1))).toEqual([`${run_id} completed`])
      const next = await service.addRun()
      expect(words(await again.take(1))).toEqual([`${next.run_id} pending`])
    })

    test('tells everything once to whoever begins in the midst of it', async () => {
      const service = await setup()
      const other = await service.another()
      await addMany(service, 510)
      const streams: Awaited<ReturnType<typeof follow>>[] = []
      for (let round = 0; round < 5; round += 1) {
        const adding = Promise.all([addMany(service, 20), addMany(other, 20)])
        for (const server of [service, other]) {
          streams.push(await follow(server, '?last_event_id=0'))
        }
        await adding
      }
      for (const stream of streams) {
        const told = words(await stream.take(710))
        expect(new Set(told).size).toBe(710)
      }
      // Nothing more: what comes next is what happens next.
      const { run_id } = await other.addRun()
      for (const stream of streams) {
        expect(words(await stream.take(1))).toEqual([`${run_id} pending`])
      }
    })

    test('reads on by itself where more came meanwhile than is kept for it', async () => {
      let release = () => {}
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      let told = 0
      let joined = false
      const wrap = ({ runFeed, ...engine }: Engine): Engine => ({
        ...engine,
        runFeed: {
          end: () => runFeed.end(),
          async read(after, until) {
            if (until !== undefined) {
              joined = true
              await released
            }
            const page = await runFeed.read(after, until)
            if (until === undefined) told += page.items.length
            return page
          },
        },
      })
      const service = await setup({ wrap })
      await addMany(service, 2)
      // Somebody else has it all read meanwhile.
      await follow(service)
      const opening = follow(service, '?last_event_id=0')
      await expect.poll(() => joined).toBe(true)
      await addMany(service, 1000)
      await addMany(service, 500)
      await expect.poll(() => told).toBeGreaterThan(1100)
      release()
      const frames = await (await opening).take(1502)
      expect(new Set(frames.map(({ data }) => data.run_id)).size).toBe(1502)
      const { run_id } = await service.addRun()
      expect(words(await (await opening).take(1))).toEqual([`${run_id} pending`])
    })

    test('is read once however many follow, and not at all where nobody does', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ wrap })
      await service.addRun()
      expect(counts).toEqual({ reads: 0, listeners: 0 })
      const streams = await Promise.all(Array.from({ length: 20 }, () => follow(service)))
      expect(counts.listeners).toBe(1)
      const before = counts.reads
      await service.addRun()
      for (const stream of streams) await stream.take(1)
      // One more where the news came in two pieces.
      expect(counts.reads - before).toBeLessThanOrEqual(2)
      for (const stream of streams) stream.leave()
      await expect.poll(() => counts.listeners).toBe(0)
    })

    test('goes on when the database does', async () => {
      let failures = 1
      const wrap = ({ runFeed, ...engine }: Engine): Engine => ({
        ...engine,
        runFeed: {
          end: () => runFeed.end(),
          async read(...given) {
            if (failures-- > 0) throw new Error('gone')
            return await runFeed.read(...given)
          },
        },
      })
      const service = await setup({ wrap })
      const stream = await follow(service)
      const { run_id } = await service.addRun()
      expect(words(await stream.take(1))).toEqual([`${run_id} pending`])
    })

    test('shows in a silence that it is alive', async () => {
      const service = await setup({ streamLimits: { heartbeatMs: 10 } })
      const stream = await follow(service)
      expect(await stream.comment()).toBe(':')
      const { run_id } = await service.addRun()
      expect(words(await stream.take(1))).toEqual([`${run_id} pending`])
      expect(await stream.comment()).toBe(':')
    })

    test('takes one of the places of those who wait, for as long as it lasts', async () => {
      const service = await setup({ config: { maxWaiting: 1 } })
      expect((await service.send('HEAD', '/events')).status).toBe(200)
      const stream = await follow(service)
      expectRefusal(await service.get('/events'), 503, 'too_many_waiting')
      stream.leave()
      await expect.poll(async () => (await follow(service)).status).toBe(200)
    })

    test('ends when the server leaves', async () => {
      const service = await setup()
      const stream = await follow(service)
      service.leave()
      await stream.ended
      await (await follow(service)).ended
    })

    test('ends when its token is revoked', async () => {
      const service = await setup({ streamLimits: { admitMs: 10 } })
      const { engine, clock } = service
      const token = newToken()
      const made = aNewToken({ role: 'client', token_hash: tokenHash(token) })
      await engine.tokens.create(made, clock.now())
      const stream = await follow(service, '', { authorization: `Bearer ${token}` })
      await engine.tokens.revoke(made.token_id, clock.now())
      await stream.ended
    })
  })
}
