/** What the sweeper does when the clock jumps and when the database fails it. */
import { expect, onTestFinished, test } from 'vitest'
import { QueueError } from '../../src/queue/errors.ts'
import { addSeconds, timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { deleteOld } from '../../src/upkeep/retention.ts'
import {
  restSessionFeed,
  type Sweeper,
  type SweeperOptions,
  startSweeper,
} from '../../src/upkeep/sweeper.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { apiOf } from '../http/support/api.ts'
import { startHere, urlOf } from '../server/in-process.ts'
import { openFixture } from '../sqlite/fixture.ts'
import { aNewRun } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'

const PATIENT = { timeout: 20_000, interval: 5 }
const DAY = 24 * 3600
const CONFIG: SweeperOptions['config'] = {
  sweepIntervalSeconds: 0.002,
  lifecycleIntervalSeconds: 0.002,
  claimTimeoutSeconds: 60,
  removeThresholdSeconds: 600,
  heartbeatIntervalSeconds: 60,
  retentionSeconds: null,
}

interface Swept extends World {
  sweeper: Sweeper
  errors: unknown[]
  swept: string[]
  /** Time passes as it should; less than half a minute, or it would seem to have been asleep. */
  pass(seconds: number): void
  /** Resolves when each pass has begun and ended once more. */
  passes(): Promise<void>
}

async function sweeping(options: Partial<SweeperOptions> = {}): Promise<Swept> {
  const world = await openWorld(openFixture)
  const { clock } = world
  let elapsedMs = 0
  let looks = 0
  const errors: unknown[] = []
  const swept: string[] = []
  const sweeper = startSweeper({
    engine: world,
    now: clock.now,
    elapsedMs() {
      looks += 1
      return elapsedMs
    },
    onChanged: () => {},
    onSwept: (what) => swept.push(what),
    onError: (error) => errors.push(error),
    ...options,
    config: { ...CONFIG, ...options.config },
  })
  onTestFinished(() => sweeper.stop())
  return {
    ...world,
    ...{ sweeper, errors, swept },
    pass(seconds) {
      clock.advance(seconds)
      elapsedMs += seconds * 1000
    },
    async passes() {
      const before = looks
      // Each pass looks once; several, so that both have come to their end.
      await expect.poll(() => looks, PATIENT).toBeGreaterThan(before + 8)
    },
  }
}

test('the clock jumps ahead: no runner that lives is lost, nor what it holds', async () => {
  const { bring, register, runners, runNow, passes, pass, swept, clock } = await sweeping()
  const { run, report } = await bring('running')
  const claimed = await bring('claimed')
  const dead = await register()
  await passes()
  clock.advance(3600)
  await passes()
  expect(swept).toEqual(['the clock jumped, runners get time to give a sign'])
  for (const { runner_id } of [report, claimed.report]) {
    await runners.heartbeat(runner_id, clock.now())
  }
  // Its claim, too, was made an hour ago by this clock, but it has not had the time to begin.
  expect((await runNow(claimed.run)).status).toBe('claimed')
  for (let i = 0; i < 10; i++) {
    pass(10)
    await passes()
  }
  expect(await runners.get(dead.runner_id)).toBeNull()
  expect(await runners.get(report.runner_id)).not.toBeNull()
  expect((await runNow(run)).status).toBe('running')
})

test('the clock is set back: runs go on, and who falls silent is still noticed', async () => {
  const { bring, runners, runNow, passes, pass, clock } = await sweeping()
  const { run, report } = await bring('running')
  const lost = await bring('running')
  await passes()
  clock.advance(-3600)
  for (let i = 0; i < 45; i++) {
    pass(20)
    await runners.heartbeat(report.runner_id, clock.now())
    await passes()
  }
  expect((await runNow(run)).status).toBe('running')
  expect((await runNow(lost.run)).status).toBe('failed')
})

test('heartbeats were refused: nobody is lost before there was time for another', async () => {
  const { bring, runNow, passes, pass, sweeper } = await sweeping()
  const { run } = await bring('running')
  await passes()
  for (let i = 0; i < 40; i++) {
    pass(20)
    sweeper.excuseSilence()
    await passes()
  }
  expect((await runNow(run)).status).toBe('running')
  for (let i = 0; i < 5; i++) {
    pass(20)
    await passes()
  }
  expect((await runNow(run)).status).toBe('failed')
})

test('a failure is told once, again for another cause, and again after it went well', async () => {
  let failure: Error | null = new QueueError('database_full', 'no room')
  const world = await openWorld(openFixture)
  const engine = {
    ...world,
    runs: {
      ...world.runs,
      failTimedOut: async () => {
        if (failure) throw failure
        return []
      },
    },
  }
  const { errors, passes } = await sweeping({ engine })
  await passes()
  expect(errors).toEqual([failure])
  const other = new QueueError('database_unavailable', 'gone')
  failure = other
  await passes()
  expect(errors.slice(1)).toEqual([other])
  failure = null
  await passes()
  failure = other
  await passes()
  expect(errors.slice(2)).toEqual([other])
})

test('what was kept long enough goes, in as many pieces as it takes', async () => {
  const { add, runs, clock, storage, metrics } = await openWorld(openFixture)
  const stop = async () => runs.stop((await add()).run_id, clock.now())
  await Promise.all(Array.from({ length: 500 }, stop))
  clock.advance(8 * DAY)
  await stop()
  const told: unknown[] = []
  await deleteOld({
    engine: { storage, metrics },
    retentionSeconds: 7 * DAY,
    now: clock.now,
    onSwept: (_, facts) => told.push(facts),
    signal: new AbortController().signal,
  })
  expect(told).toEqual([{ runs: 500, sessions: 500, bytes: 0 }])
  expect((await runs.list({ limit: 10 })).runs).toHaveLength(1)
})

test('changes of sessions are written down for an hour after somebody followed them', async () => {
  const { sessionFeed, clock, ...engine } = await openWorld(openFixture)
  const told: string[] = []
  const look = () =>
    restSessionFeed({
      engine: { ...engine, sessionFeed },
      now: clock.now,
      onSwept: (what) => told.push(what),
    })
  await sessionFeed.keep(clock.now())
  clock.advance(3599)
  await look()
  expect(told).toEqual([])
  clock.advance(1)
  await look()
  await look()
  expect(told).toEqual(['nobody follows sessions any more, their changes are not written down'])
})

test('a server deletes what it is told to keep for a second', async () => {
  const DATABASE_URL = urlOf(tempDir())
  const engine = await openSqliteEngine({ url: DATABASE_URL })
  const now = timestamp(new Date())
  const stopped = async (at: string) => {
    const { run } = await engine.runs.add(aNewRun(), at)
    await engine.runs.stop(run.run_id, at)
    return run.run_id
  }
  const [old, later] = [await stopped(addSeconds(now, -2)), await stopped(addSeconds(now, 3600))]
  await engine.close()
  const { url } = await startHere({ DATABASE_URL, RUN_RETENTION: '1s', RUN_SWEEP_INTERVAL: '0.1' })
  const { get } = apiOf(url)
  const status = async (run_id: string) => (await get(`/runs/${run_id}`)).status
  await expect.poll(() => status(old), PATIENT).toBe(404)
  expect(await status(later)).toBe(200)
})
