/** What finds nothing writes nothing: no row is written, nor locked. */
import { expect, it, onTestFinished } from 'vitest'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture, openShell } from './fixture.ts'

const look = { limit: 1, claim_key: null, tokens: ['t'] }
const NOTHING: [string, (world: World, runner_id: string) => Promise<unknown>][] = [
  ['a claim that gets nothing', ({ claim }, runner_id) => claim({ runner_id })],
  ['a claim by a runner that is not registered', ({ claim }) => claim({ runner_id: 'unknown' })],
  [
    'a claim with a key that gets nothing',
    ({ claim }, runner_id) => claim({ runner_id }, { claim_key: 'k' }),
  ],
  [
    'a poll that finds nothing',
    ({ runs, clock }, runner_id) => runs.poll({ runner_id, ...look }, clock.now(), clock.ago(60)),
  ],
  [
    'asking for stops where there are none',
    ({ runs, clock }, runner_id) => runs.takeStops(runner_id, clock.now(), clock.ago(60)),
  ],
  ['a sweep of those whose time comes', ({ runs, clock }) => runs.makeAvailable(clock.now(), 10)],
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
  await world.metrics.fold()
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  /** Each version of a row has a place and a maker of its own; a lock leaves its holder in xmax. */
  const versions = async () => {
    const rows: unknown[] = []
    for (const table of [
      ...['runs', 'sessions', 'runners', 'run_events', 'runner_signals'],
      ...['counters', 'metrics_position'],
    ]) {
      rows.push((await shell.query(`SELECT ctid, xmin, xmax FROM ${table} ORDER BY ctid`)).rows)
    }
    return rows
  }
  const before = await versions()
  await doNothing(world, runner_id)
  expect(await versions()).toEqual(before)
  await world.runners.heartbeat(runner_id, world.clock.now())
  expect(await versions()).not.toEqual(before)
})
