import { describe, expect, it } from 'vitest'
import { ERRORS, type RecoveryMode } from '../../src/queue/recovery.ts'
import { RUN_STATUSES, type RunStatus } from '../../src/queue/run.ts'
import type { RecoverOptions } from '../../src/queue/run-queue.ts'
import { recoverAll } from '../../src/upkeep/recovery.ts'
import { aNewRun } from '../support/factories.ts'
import type { Held, Setup, World } from './world.ts'

const HOUR = 3600

/** A run in every status, each with a runner of its own. */
async function oneOfEach({ bring }: World): Promise<Record<RunStatus, Held>> {
  const held: Partial<Record<RunStatus, Held>> = {}
  // Pending last, since bring() claims what is pending.
  for (const status of [...RUN_STATUSES].reverse()) held[status] = await bring(status)
  return held as Record<RunStatus, Held>
}

function recover(
  { runs, clock }: World,
  mode: RecoveryMode,
  options: Partial<RecoverOptions> = {},
) {
  const usual = { thresholdSeconds: 300, aliveSince: clock.ago(120) }
  return recoverAll(runs, mode, { ...usual, ...options }, clock.now())
}

const statusesNow = async ({ runNow }: World, held: Record<RunStatus, Held>) =>
  Object.fromEntries(
    await Promise.all(
      RUN_STATUSES.map(async (status) => [status, (await runNow(held[status].run)).status]),
    ),
  )

const UNTOUCHED = Object.fromEntries(RUN_STATUSES.map((status) => [status, status]))
const RECOVERED = { ...UNTOUCHED, claimed: 'pending', running: 'failed', stopping: 'stopped' }

export function describeRecovery(setup: Setup): void {
  describe('recover', () => {
    it('none touches nothing', async () => {
      const world = await setup()
      const held = await oneOfEach(world)
      world.clock.advance(HOUR)
      expect(await recover(world, 'none')).toEqual({ released: 0, failed: 0, stopped: 0 })
      expect(await statusesNow(world, held)).toEqual(UNTOUCHED)
    })

    it.each(['stale', 'all'] as const)('%s puts in order what was left', async (mode) => {
      const world = await setup()
      const held = await oneOfEach(world)
      world.clock.advance(HOUR)
      expect(await recover(world, mode)).toEqual({ released: 1, failed: 1, stopped: 1 })
      expect(await statusesNow(world, held)).toEqual(RECOVERED)
      const { runNow, clock } = world
      expect(await runNow(held.claimed.run)).toMatchObject({
        runner_id: null,
        claimed_at: null,
        attempt: 0,
      })
      expect(await runNow(held.running.run)).toMatchObject({
        error: mode === 'stale' ? ERRORS.restartedStale : ERRORS.restartedAll,
        completed_at: clock.now(),
      })
      expect((await runNow(held.stopping.run)).completed_at).toBe(clock.now())
    })

    it.each(['stale', 'all'] as const)('%s lets the sessions follow', async (mode) => {
      const world = await setup()
      const held = await oneOfEach(world)
      world.clock.advance(HOUR)
      await recover(world, mode)
      const { sessionNow } = world
      expect((await sessionNow(held.claimed.run)).status).toBe('pending')
      expect((await sessionNow(held.running.run)).status).toBe('failed')
      expect((await sessionNow(held.stopping.run)).status).toBe('stopped')
    })

    it('stale leaves what is younger than the threshold; stops are taken as done', async () => {
      const world = await setup()
      const held = await oneOfEach(world)
      world.clock.advance(299.999)
      expect(await recover(world, 'stale')).toEqual({ released: 0, failed: 0, stopped: 1 })
      expect(await statusesNow(world, held)).toEqual({ ...UNTOUCHED, stopping: 'stopped' })
      world.clock.advance(0.001)
      expect(await recover(world, 'stale')).toEqual({ released: 1, failed: 1, stopped: 0 })
    })

    it('all asks for no age', async () => {
      const world = await setup()
      const held = await oneOfEach(world)
      expect(await recover(world, 'all')).toEqual({ released: 1, failed: 1, stopped: 1 })
      expect(await statusesNow(world, held)).toEqual(RECOVERED)
    })

    it('stale leaves the runs of a runner that is alive to it', async () => {
      const world = await setup()
      const { runners, runNow, clock } = world
      const held = await oneOfEach(world)
      clock.advance(HOUR)
      const alive = ['claimed', 'running', 'stopping'] as const
      for (const status of alive) {
        await runners.heartbeat(held[status].report.runner_id, clock.now())
      }
      clock.advance(119)
      expect(await recover(world, 'stale')).toEqual({ released: 0, failed: 0, stopped: 0 })
      for (const status of alive) expect(await runNow(held[status].run)).toEqual(held[status].run)
      // The same runners, silent since.
      clock.advance(HOUR)
      expect(await recover(world, 'stale')).toEqual({ released: 1, failed: 1, stopped: 1 })
    })

    it('all takes the runs of a runner that is alive too', async () => {
      const world = await setup()
      const held = await oneOfEach(world)
      for (const { report } of Object.values(held)) {
        await world.runners.heartbeat(report.runner_id, world.clock.now())
      }
      await recover(world, 'all')
      expect(await statusesNow(world, held)).toEqual(RECOVERED)
    })

    it.each(['stale', 'all'] as const)('%s with dryRun only counts', async (mode) => {
      const world = await setup()
      const held = await oneOfEach(world)
      world.clock.advance(HOUR)
      const counted = await recover(world, mode, { dryRun: true })
      expect(counted).toEqual({ released: 1, failed: 1, stopped: 1 })
      expect(await statusesNow(world, held)).toEqual(UNTOUCHED)
      expect(await recover(world, mode)).toEqual(counted)
    })

    it('none with dryRun counts nothing', async () => {
      const world = await setup()
      await oneOfEach(world)
      const counted = await recover(world, 'none', { dryRun: true })
      expect(counted).toEqual({ released: 0, failed: 0, stopped: 0 })
    })

    it('lets a released run be claimed, and wait as long as a new one', async () => {
      const world = await setup()
      const { bring, runNow, register, claim, clock } = world
      const demands = { hostname: 'alpha', tags: [] }
      const { run } = await bring('claimed', { demands, timeout_seconds: 60 })
      clock.advance(HOUR)
      await recover(world, 'stale')
      expect((await runNow(run)).timeout_at).toBe(clock.ahead(60))
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id, attempt: 1 }])
    })

    it('does all there is, however much', async () => {
      const world = await setup()
      const { runs, register, claim, clock } = world
      const runner = await register()
      const batch = Array.from({ length: 700 }, () => aNewRun())
      await runs.addMany(batch, clock.now())
      for (let i = 0; i < 7; i++) await claim(runner, { limit: 100 })
      clock.advance(HOUR)
      expect(await recover(world, 'stale')).toEqual({ released: 700, failed: 0, stopped: 0 })
      expect(await runs.active(1000)).toEqual([])
      const claimed = await claim(await register(), { limit: 100 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual(
        batch.slice(0, 100).map(({ run_id }) => run_id),
      )
    })

    it('done by two processes at once, does it once', async () => {
      const world = await setup()
      await oneOfEach(world)
      const other = await world.open()
      const both = await Promise.all([
        recover(world, 'all'),
        recover({ ...world, ...other, open: world.open }, 'all'),
      ])
      const sum = (kind: 'released' | 'failed' | 'stopped') => both[0][kind] + both[1][kind]
      expect([sum('released'), sum('failed'), sum('stopped')]).toEqual([1, 1, 1])
    })
  })
}
