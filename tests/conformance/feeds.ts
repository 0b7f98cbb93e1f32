/** The feeds that live streams read: everything once, in order, from whatever place on. */
import { describe, expect, it } from 'vitest'
import type { Feed, FeedItem } from '../../src/queue/feed.ts'
import type { LiveRunEvent } from '../../src/queue/run-event.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

async function readAll<T>(feed: Feed<T>, from: string, until?: string) {
  const items: FeedItem<T>[] = []
  let page = await feed.read(from, until)
  for (items.push(...page.items); page.more; items.push(...page.items)) {
    page = await feed.read(page.next, until)
  }
  return { items, next: page.next }
}

const told = ({ item }: FeedItem<LiveRunEvent>) => `${item.run_id} ${item.to_status} ${item.cause}`

/** What each place gives is what came behind it. */
async function expectExact<T>(feed: Feed<T>, items: FeedItem<T>[]): Promise<void> {
  for (const [index, { place }] of items.entries()) {
    expect((await readAll(feed, place)).items.map(({ item }) => item)).toEqual(
      items.slice(index + 1).map(({ item }) => item),
    )
  }
}

/** Binds a session that is to be changed. */
const bind = ({ sessions, clock }: World, session_id: string, hostname = 'alpha') =>
  sessions.bind(
    session_id,
    { executor_session_id: 'e', hostname, executor_profile: 'p', executor_type: null },
    clock.now(),
  )

export function describeFeeds(setup: Setup): void {
  describe('the feed of runs', () => {
    it('tells from its end on what happens, with every key', async () => {
      const { add, bring, runFeed, clock } = await setup()
      await add({ demands: { tags: ['nobody'] } })
      const from = await runFeed.end()
      const { run, report } = await bring('completed')
      const { items, next } = await readAll(runFeed, from)
      const { run_id, session_id } = run
      expect(items.map(told)).toEqual([
        `${run_id} pending added`,
        `${run_id} claimed claimed`,
        `${run_id} running started`,
        `${run_id} completed completed`,
      ])
      expect(items.at(-1)?.item).toEqual({
        ...{ event_id: expect.any(Number), run_id, session_id, at: clock.now() },
        ...{ from_status: 'running', to_status: 'completed', cause: 'completed', attempt: 1 },
        ...{ changed_by: 'runner', runner_id: report.runner_id, detail: null },
      })
      expect((await readAll(runFeed, next)).items).toEqual([])
      await expectExact(runFeed, items)
    })

    it('tells all that is kept from 0 on, in pages that go on where one ended', async () => {
      const { runs, runFeed, clock, open } = await setup()
      for (const count of [700, 500]) {
        const many = Array.from({ length: count }, () => aNewRun())
        await runs.addMany(many, clock.now())
      }
      const { items } = await readAll(runFeed, '0')
      expect(new Set(items.map(({ item }) => item.event_id)).size).toBe(1200)
      const other = (await open()).runFeed
      for (const index of [0, 498, 499, 500, 699, 700, 999, 1198]) {
        const rest = await readAll(other, items[index]?.place ?? '')
        expect(rest.items.map(told)).toEqual(items.slice(index + 1).map(told))
      }
    })

    it('stops at the place it is told', async () => {
      const { add, runFeed } = await setup()
      const first = await add()
      const until = await runFeed.end()
      const second = await add()
      const { items, next } = await readAll(runFeed, '0', until)
      expect(items.map(({ item }) => item.run_id)).toEqual([first.run_id])
      expect(next).toBe(until)
      const rest = await readAll(runFeed, next)
      expect(rest.items.map(({ item }) => item.run_id)).toEqual([second.run_id])
      // Within a page that was read to its end.
      const [one] = (await readAll(runFeed, '0')).items
      expect((await readAll(runFeed, one?.place ?? '', await runFeed.end())).items).toHaveLength(1)
    })

    it('goes on with what is kept where runs were deleted meanwhile', async () => {
      const world = await setup()
      const { bring, runFeed, storage, clock } = world
      const from = await runFeed.end()
      await bring('completed')
      const { items } = await readAll(runFeed, from)
      await storage.prune({ before: clock.advance(60), limit: 10 })
      const kept = await world.add()
      for (const place of [from, ...items.map((each) => each.place)]) {
        const rest = await readAll(runFeed, place)
        expect(rest.items.map(({ item }) => item.run_id)).toEqual([kept.run_id])
      }
    })

    it.each([
      '',
      'x',
      '-1',
      '1.5',
      '999999999999',
      '1:1:',
      '0.9:1:',
      '1.1:1:.1:1:.x',
      `1`.repeat(99),
    ])('refuses the place %j', async (place) => {
      const { runFeed } = await setup()
      await refusal(runFeed.read(place), 'unknown_event_id')
    })
  })

  describe('the feed of sessions', () => {
    const kinds = async (world: World, from: string) =>
      (await readAll(world.sessionFeed, from)).items.map(({ item }) => item.kind)

    /** Somebody begins to follow. @returns the place where it ends then */
    async function follow({ sessionFeed, clock }: World): Promise<string> {
      await sessionFeed.keep(clock.now())
      return await sessionFeed.end()
    }

    it('begins when somebody first follows', async () => {
      const world = await setup()
      await world.add()
      expect((await readAll(world.sessionFeed, '0')).items).toEqual([])
      const from = await follow(world)
      await world.add()
      expect(await kinds(world, from)).toEqual(['session_created'])
      // For every process, and from then on.
      const other = await world.open()
      expect((await readAll(other.sessionFeed, '0')).items).toHaveLength(1)
    })

    it('ends when nobody follows for long; who comes again is told that something is missing', async () => {
      const world = await setup()
      const { sessionFeed, clock } = world
      expect(await sessionFeed.rest(clock.now())).toBe(false)
      const from = await follow(world)
      await world.add()
      const { next } = await sessionFeed.read(from)
      clock.advance(1800)
      await (await world.open()).sessionFeed.keep(clock.now())
      clock.advance(3599)
      expect(await sessionFeed.rest(clock.ago(3600))).toBe(false)
      await world.add()
      expect(await kinds(world, next)).toEqual(['session_created'])
      const last = await sessionFeed.end()
      expect(await sessionFeed.rest(clock.ago(3599))).toBe(true)
      expect(await sessionFeed.rest(clock.ago(3599))).toBe(false)
      await world.add()
      expect(await kinds(world, last)).toEqual([])
      // Nothing was told after `last`, and yet there was something.
      const anew = await follow(world)
      const whole = [from, next, last, anew].map((place) => sessionFeed.isWhole(place))
      expect(await Promise.all(whole)).toEqual([false, false, false, true])
      await world.add()
      expect(await kinds(world, anew)).toEqual(['session_created'])
      expect(await kinds(world, '0')).toHaveLength(3)
    })

    it('tells what became of a session, as it was then', async () => {
      const world = await setup()
      const { sessions, sessionFeed, clock } = world
      const from = await follow(world)
      const { run } = await world.bring('pending')
      const { session_id } = run
      const created = await sessions.get(session_id)
      const bound = await bind(world, session_id)
      const event = { session_id, event_type: 'message', timestamp: clock.now() }
      await sessions.addEvent({ ...event, role: 'assistant', content: 'hi' })
      await sessions.stop(session_id, clock.now())
      const stopped = await sessions.get(session_id)
      const { items } = await readAll(sessionFeed, from)
      const [message] = await sessions.events(session_id)
      expect(items.map(({ item: { kind, data } }) => [kind, data])).toEqual([
        ['session_created', { session: created }],
        ['session_updated', { session: bound }],
        ['event', { data: message }],
        ['session_updated', { session: stopped }],
      ])
      await sessions.delete(session_id)
      // What was told in it went with it.
      expect(await kinds(world, from)).toEqual([
        ...['session_created', 'session_updated', 'session_updated', 'session_deleted'],
      ])
      const last = (await readAll(sessionFeed, from)).items.at(-1)?.item
      expect(last).toMatchObject({ session_id, data: { session_id } })
    })

    it('numbers what it tells, and never anew', async () => {
      const world = await setup()
      const from = await follow(world)
      const { run } = await world.bring('running')
      await world.runs.stop(run.run_id, world.clock.now())
      const { items } = await readAll(world.sessionFeed, from)
      const numbers = items.map(({ item }) => item.sequence)
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
      expect(items.map(({ place }) => place)).toEqual(numbers.map(String))
      expect(await readAll((await world.open()).sessionFeed, from)).toMatchObject({ items })
      await expectExact(world.sessionFeed, items)
    })

    it('says nothing where nothing changed that shows', async () => {
      const world = await setup()
      const { run } = await world.bring('running')
      await bind(world, run.session_id)
      const from = await follow(world)
      world.clock.advance(1)
      await bind(world, run.session_id)
      expect(await kinds(world, from)).toEqual([])
    })

    it('tells of runs that time or the loss of a runner failed, and of no others', async () => {
      const world = await setup()
      const { runs, runners, clock, sessionFeed } = world
      const unmatched = await world.add({ demands: { tags: ['nobody'] } })
      const orphaned = await world.bring('running')
      const repeated = await world.bring('running', { max_attempts: 2, on_lost: 'requeue' })
      const from = await follow(world)
      await runners.remove(orphaned.report.runner_id, clock.now())
      await runners.remove(repeated.report.runner_id, clock.now())
      await runs.failTimedOut(clock.advance(3600), 10)
      await world.bring('failed', { priority: 9 })
      const failed = (await readAll(sessionFeed, from)).items.flatMap(({ item }) =>
        item.kind === 'run_failed' ? [item.data] : [],
      )
      const facts = ({ run_id, session_id }: { run_id: string; session_id: string }) => ({
        ...{ run_id, session_id },
      })
      expect(failed).toEqual([
        { ...facts(orphaned.run), error: 'Runner disconnected during execution' },
        { ...facts(unmatched), error: 'No matching runner available within timeout' },
      ])
    })

    it('comes in pages of bounded size', async () => {
      const world = await setup()
      const { run } = await world.bring('pending')
      const from = await follow(world)
      const event = { session_id: run.session_id, event_type: 'x', timestamp: world.clock.now() }
      const large = 'x'.repeat(1_500_000)
      for (const content of [large, large, large, large]) {
        await world.sessions.addEvent({ ...event, content })
      }
      const page = await world.sessionFeed.read(from)
      expect([page.items.length, page.more]).toEqual([3, true])
      expect((await readAll(world.sessionFeed, from)).items).toHaveLength(4)
      for (let count = 0; count < 60; count += 1) await world.sessions.addEvent(event)
      expect((await world.sessionFeed.read(page.next)).items).toHaveLength(50)
      expect((await readAll(world.sessionFeed, from)).items).toHaveLength(64)
    })

    it.each(['', 'x', '-1', '1.5', '999999999999'])('refuses the place %j', async (place) => {
      const { sessionFeed } = await setup()
      await refusal(sessionFeed.read(place), 'unknown_event_id')
    })
  })
}
