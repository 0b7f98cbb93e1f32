/** What finds nothing writes nothing: another connection sees no commit. */
import { expect, it, onTestFinished } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture } from './fixture.ts'

const NOTHING: [string, (world: World, runner_id: string) => Promise<unknown>][] = [
  ['a claim that gets nothing', ({ claim }, runner_id) => claim({ runner_id })],
  [
    'a claim by a runner that is not registered',
    ({ claim }) => claim({ runner_id: 'lnch_unknown' }),
  ],
  [
    'a claim with a key that gets nothing',
    ({ claim }, runner_id) => claim({ runner_id }, { claim_key: 'k' }),
  ],
  [
    'asking for stops where there are none',
    ({ runs, clock }, runner_id) => runs.takeStops(runner_id, clock.now(), clock.ago(60)),
  ],
  [
    'a poll that finds nothing',
    ({ runs, clock }, runner_id) =>
      runs.poll(
        { runner_id, limit: 1, claim_key: null, tokens: ['t'] },
        clock.now(),
        clock.ago(60),
      ),
  ],
  [
    'a poll of a runner that is not registered',
    ({ runs, clock }) =>
      runs.poll(
        { runner_id: 'lnch_unknown', limit: 0, claim_key: null, tokens: [] },
        clock.now(),
        clock.ago(60),
      ),
  ],
  ['a look at what waits for its time', ({ runs }) => runs.nextAvailableAt()],
  ['a sweep of what waits for its time', ({ runs, clock }) => runs.makeAvailable(clock.now(), 10)],
  ['a sweep of followers', ({ sessionFeed, clock }) => sessionFeed.rest(clock.ago(3600))],
  ['a sweep of time-outs', ({ runs, clock }) => runs.failTimedOut(clock.now(), 10)],
  ['a sweep of claims', ({ runs, clock }) => runs.releaseUnstarted(clock.ago(60), clock.now(), 10)],
  [
    'a sweep of stops',
    ({ runs, clock }) => runs.settleUnconfirmedStops(clock.ago(60), clock.now(), 10),
  ],
  [
    'a sweep of runners',
    ({ runners, clock }) => runners.removeLost(clock.ago(60), clock.now(), 10),
  ],
  [
    'a sweep of what is past retention',
    async ({ storage, clock }) => {
      await storage.prune({ before: clock.ago(60), limit: 10 })
      await storage.giveBack()
    },
  ],
  [
    'a fold of what was folded, and a look at the metrics',
    async ({ metrics, clock }) => {
      await metrics.fold()
      await metrics.read(clock.now())
    },
  ],
]

it.each(NOTHING)('%s writes nothing', async (_, doNothing) => {
  const world = await openWorld(openFixture)
  const { runner_id } = await world.register()
  await world.add({ demands: { hostname: 'elsewhere', tags: [] } })
  await world.add({ available_at: world.clock.ahead(10) })
  await world.metrics.fold()
  const Driver = await loadDriver()
  const watcher = new Driver(world.fixture.opener.url.slice('file:'.length))
  onTestFinished(() => void watcher.close())
  const version = () => watcher.pragma('data_version', { simple: true })
  const before = version()
  await doNothing(world, runner_id)
  expect(version()).toBe(before)
  await world.add()
  expect(version()).not.toBe(before)
})
