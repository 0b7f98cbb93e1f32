/** Runs that wait for their time. */
import { describe, expect, it } from 'vitest'
import { MATCH_TIMEOUT_SECONDS } from '../../src/queue/run-queue.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

const demands = { hostname: 'alpha', tags: [] }

export function describeAvailable(setup: Setup): void {
  describe('a run with a time', () => {
    it('is pending, and nobody gets it before', async () => {
      const { add, runNow, register, claim, runs, clock } = await setup()
      const runner = await register()
      const available_at = clock.ahead(10)
      const run = await add({ available_at, priority: 9 })
      expect(run).toMatchObject({ status: 'pending', available_at })
      expect(await runNow(run)).toEqual(run)
      const other = await add()
      expect(await claim(runner, { limit: 5 })).toMatchObject([{ run_id: other.run_id }])
      clock.advance(9.999)
      expect(await runs.makeAvailable(clock.now(), 10)).toEqual([])
      expect(await claim(runner)).toEqual([])
      clock.advance(0.001)
      const available = { ...run, available_at: null }
      const { run_id } = run
      const change = { run_id, status: 'pending', cause: 'became_available' }
      expect(await runs.makeAvailable(clock.now(), 10)).toMatchObject([change])
      expect(await runNow(run)).toEqual(available)
      expect(await claim(runner)).toMatchObject([{ run_id: run.run_id, attempt: 1 }])
    })

    it('goes by its age, not by when its time came', async () => {
      const { add, register, claim, runs, clock } = await setup()
      const first = await add({ available_at: clock.ahead(5) })
      const second = await add()
      await runs.makeAvailable(clock.advance(5), 10)
      const claimed = await claim(await register(), { limit: 2 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual([first.run_id, second.run_id])
    })

    it.each([
      ['past', -1],
      ['now', 0],
    ])('that is %s is claimable at once', async (_, seconds) => {
      const { add, register, claim, runs, clock } = await setup()
      const run = await add({ available_at: clock.ahead(seconds) })
      expect(run.available_at).toBeNull()
      expect(await runs.nextAvailableAt()).toBeNull()
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id }])
    })

    it('waits for a match from then on', async () => {
      const { add, runs, runNow, clock } = await setup()
      const nobody = { hostname: 'nobody', tags: [] }
      const usual = await add({ demands: nobody, available_at: clock.ahead(1000) })
      expect(usual.timeout_at).toBe(clock.ahead(1000 + MATCH_TIMEOUT_SECONDS))
      clock.advance(1000)
      expect(await runs.failTimedOut(clock.now(), 10)).toEqual([])
      await runs.makeAvailable(clock.now(), 10)
      expect(await runs.failTimedOut(clock.advance(MATCH_TIMEOUT_SECONDS - 0.001), 10)).toEqual([])
      expect(await runs.failTimedOut(clock.advance(0.001), 10)).toHaveLength(1)
      expect(await runNow(usual)).toMatchObject({ status: 'failed', available_at: null })
    })

    it('that nobody made available fails all the same when its time for a match is over', async () => {
      const { add, runs, runNow, clock } = await setup()
      const run = await add({ demands, timeout_seconds: 5, available_at: clock.ahead(10) })
      const failed = await runs.failTimedOut(clock.advance(15), 10)
      expect(failed).toMatchObject([{ run_id: run.run_id, status: 'failed' }])
      expect((await runNow(run)).available_at).toBeNull()
      expect(await runs.makeAvailable(clock.now(), 10)).toEqual([])
    })

    it('is stopped at once, and does not come back', async () => {
      const { add, runs, runNow, sessionNow, clock } = await setup()
      const run = await add({ available_at: clock.ahead(10) })
      const outcome = await runs.stop(run.run_id, clock.now())
      expect(outcome).toMatchObject({ outcome: 'cancelled', session_status: 'stopped' })
      expect(await runNow(run)).toMatchObject({ status: 'stopped', available_at: null })
      expect((await sessionNow(run)).status).toBe('stopped')
      expect(await runs.nextAvailableAt()).toBeNull()
      expect(await runs.makeAvailable(clock.advance(10), 10)).toEqual([])
      expect((await runNow(run)).status).toBe('stopped')
    })

    it('that is stopped and added again does not wait any more', async () => {
      const { add, runs, clock } = await setup()
      const { run_id } = await add({ available_at: clock.ahead(10) })
      await runs.stop(run_id, clock.now())
      const { run: again } = await runs.retry(run_id, 'run_again', clock.now())
      expect(again).toMatchObject({ status: 'pending', available_at: null })
    })

    it('is left alone by recovery and every other sweep', async () => {
      const { add, runs, runNow, clock } = await setup()
      const run = await add({ available_at: clock.ahead(7200) })
      clock.advance(3600)
      for (const mode of ['stale', 'all'] as const) {
        await runs.recover(mode, { thresholdSeconds: 0, aliveSince: clock.now() }, clock.now())
      }
      await runs.failTimedOut(clock.now(), 10)
      await runs.releaseUnstarted(clock.now(), clock.now(), 10)
      await runs.settleUnconfirmedStops(clock.now(), clock.now(), 10)
      expect(await runNow(run)).toEqual(run)
    })

    it('is listed as what it is, and is the active run of its session', async () => {
      const { add, runs, clock } = await setup()
      const run = await add({ available_at: clock.ahead(10) })
      expect(await runs.pending(10)).toEqual([run])
      expect(await runs.active(10)).toEqual([])
      expect(await runs.activeOfSession(run.session_id)).toEqual(run)
      expect((await runs.list({ statuses: ['pending'], limit: 10 })).runs).toEqual([run])
    })

    it('whose demands change goes on waiting; its time for a match counts from then on', async () => {
      const { add, runs, clock } = await setup()
      const { run_id, available_at } = await add({ available_at: clock.ahead(10) })
      const changed = await runs.setDemands(run_id, demands, 30, clock.advance(1))
      expect(changed).toMatchObject({ available_at, timeout_at: clock.ahead(9 + 30) })
      const late = await runs.setDemands(run_id, demands, 30, clock.advance(20))
      expect(late).toMatchObject({ available_at, timeout_at: clock.ahead(30) })
    })

    it('may be one of many that are added together', async () => {
      const { runs, clock } = await setup()
      const batch = [aNewRun({ available_at: clock.ahead(3) }), aNewRun()]
      const added = await runs.addMany(batch, clock.now())
      expect(added.map(({ run }) => run.available_at)).toEqual([clock.ahead(3), null])
    })
  })

  describe('makeAvailable', () => {
    it('makes at most as many as asked for, those due first, and each once', async () => {
      const { add, runs, open, clock } = await setup()
      const other = await open()
      const added = []
      for (const seconds of [5, 1, 4, 2, 3]) {
        added.push({ seconds, ...(await add({ available_at: clock.ahead(seconds) })) })
      }
      const now = clock.advance(10)
      const made = await runs.makeAvailable(now, 2)
      const firstTwo = added.filter(({ seconds }) => seconds <= 2)
      expect(made.map(({ run_id }) => run_id).sort()).toEqual(
        firstTwo.map(({ run_id }) => run_id).sort(),
      )
      const rest = await Promise.all([runs, other.runs].map((one) => one.makeAvailable(now, 2)))
      const ids = [...made, ...rest.flat()].map(({ run_id }) => run_id)
      expect(ids).toHaveLength(5)
      expect(new Set(ids).size).toBe(5)
    })

    it('has no run to do with that is not pending', async () => {
      const { bring, runs, clock } = await setup()
      for (const status of ['completed', 'stopping', 'running', 'claimed'] as const) {
        await bring(status)
      }
      expect(await runs.makeAvailable(clock.advance(10), 10)).toEqual([])
    })
  })

  describe('nextAvailableAt', () => {
    it('tells the earliest time that a pending run waits for', async () => {
      const { add, runs, clock } = await setup()
      expect(await runs.nextAvailableAt()).toBeNull()
      await add()
      expect(await runs.nextAvailableAt()).toBeNull()
      for (const seconds of [30, 10, 20]) await add({ available_at: clock.ahead(seconds) })
      expect(await runs.nextAvailableAt()).toBe(clock.ahead(10))
      await runs.makeAvailable(clock.advance(10), 10)
      expect(await runs.nextAvailableAt()).toBe(clock.ahead(10))
    })
  })
}
