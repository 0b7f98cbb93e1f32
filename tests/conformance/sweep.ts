import { describe, expect, it } from 'vitest'
import { ERRORS } from '../../src/queue/recovery.ts'
import { RUN_STATUSES } from '../../src/queue/run.ts'
import type { Setup } from './world.ts'

const HOUR = 3600
const but = <const S extends string>(...statuses: S[]) =>
  RUN_STATUSES.filter((status) => !(statuses as string[]).includes(status))

export function describeSweep(setup: Setup): void {
  describe('failTimedOut', () => {
    const demands = { hostname: 'nobody', tags: [] }

    it('fails pending runs whose time for a match is over, and their sessions', async () => {
      const { add, runs, runNow, sessionNow, clock } = await setup()
      const run = await add({ demands, timeout_seconds: 10 })
      const longer = await add({ demands, timeout_seconds: 11 })
      const patient = await add()
      clock.advance(10)
      const failed = { ...run, status: 'failed', error: ERRORS.noMatch, completed_at: clock.now() }
      const { run_id, session_id } = run
      expect(await runs.failTimedOut(clock.now(), 10)).toEqual([
        {
          ...{ run_id, session_id, status: 'failed', runner_id: null, attempt: 0 },
          ...{ cause: 'match_timed_out', changed_by: 'service' },
        },
      ])
      expect(await runNow(run)).toEqual(failed)
      expect((await sessionNow(run)).status).toBe('failed')
      expect((await runNow(longer)).status).toBe('pending')
      expect((await sessionNow(longer)).status).toBe('pending')
      clock.advance(HOUR)
      await runs.failTimedOut(clock.now(), 10)
      expect((await runNow(patient)).status).toBe('pending')
    })

    it('fails none a moment too early', async () => {
      const { add, runs, clock } = await setup()
      await add({ demands, timeout_seconds: 10 })
      clock.advance(9.999)
      expect(await runs.failTimedOut(clock.now(), 10)).toEqual([])
    })

    it('fails for good, whatever attempts are left', async () => {
      const { add, runs, clock } = await setup()
      await add({ demands, timeout_seconds: 1, max_attempts: 5 })
      const failed = await runs.failTimedOut(clock.advance(1), 10)
      expect(failed).toMatchObject([{ status: 'failed', attempt: 0 }])
    })

    it.each(but('pending'))('leaves a %s run alone', async (status) => {
      const { bring, runs, runNow, clock } = await setup()
      const can = { hostname: 'alpha', tags: [] }
      const { run } = await bring(status, { demands: can, timeout_seconds: 1 })
      expect(await runs.failTimedOut(clock.advance(HOUR), 10)).toEqual([])
      expect(await runNow(run)).toEqual(run)
    })

    it('fails at most as many as asked for, and each once', async () => {
      const { add, runs, clock } = await setup()
      for (let i = 0; i < 5; i++) await add({ demands, timeout_seconds: 1 })
      clock.advance(1)
      expect(await runs.failTimedOut(clock.now(), 3)).toHaveLength(3)
      expect(await runs.failTimedOut(clock.now(), 3)).toHaveLength(2)
      expect(await runs.failTimedOut(clock.now(), 3)).toEqual([])
    })
  })

  describe('releaseUnstarted', () => {
    it('gives back a claim from before, as if never claimed', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run } = await bring('claimed')
      clock.advance(60)
      const { run: younger } = await bring('claimed')
      const released = await runs.releaseUnstarted(clock.ago(60), clock.now(), 10)
      const pending = {
        ...run,
        status: 'pending',
        runner_id: null,
        claimed_at: null,
        attempt: 0,
      }
      expect(released).toMatchObject([{ run_id: run.run_id, status: 'pending', attempt: 0 }])
      expect(await runNow(run)).toEqual(pending)
      expect((await sessionNow(run)).status).toBe('pending')
      expect(await runNow(younger)).toEqual(younger)
    })

    it('renews the time for a match', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const demands = { hostname: 'alpha', tags: [] }
      const { run } = await bring('claimed', { demands, timeout_seconds: 33 })
      clock.advance(60)
      await runs.releaseUnstarted(clock.ago(60), clock.now(), 10)
      expect(await runNow(run)).toMatchObject({ timeout_at: clock.ahead(33) })
    })

    it('fences the runner that never reported: its claim is gone', async () => {
      const { bring, runs, runNow, claim, register, clock } = await setup()
      const { run, report } = await bring('claimed')
      await runs.releaseUnstarted(clock.advance(60), clock.now(), 10)
      await claim(await register())
      await expect(runs.start(report, clock.now())).rejects.toMatchObject({ code: 'run_not_held' })
      expect((await runNow(run)).status).toBe('claimed')
    })

    it.each(but('claimed'))('leaves a %s run alone', async (status) => {
      const { bring, runs, runNow, clock } = await setup()
      const { run } = await bring(status)
      expect(await runs.releaseUnstarted(clock.advance(HOUR), clock.now(), 10)).toEqual([])
      expect(await runNow(run)).toEqual(run)
    })

    it('releases at most as many as asked for, and each once', async () => {
      const { bring, register, runs, clock } = await setup()
      const runner = await register()
      for (let i = 0; i < 5; i++) await bring('claimed', {}, runner)
      const release = () => runs.releaseUnstarted(clock.now(), clock.now(), 3)
      expect([(await release()).length, (await release()).length]).toEqual([3, 2])
      expect(await release()).toEqual([])
    })
  })

  describe('settleUnconfirmedStops', () => {
    it('takes a stop from before as done, for the session too', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run } = await bring('stopping')
      clock.advance(60)
      const { run: younger } = await bring('stopping')
      const settled = await runs.settleUnconfirmedStops(clock.ago(60), clock.now(), 10)
      const stopped = { ...run, status: 'stopped', completed_at: clock.now() }
      expect(settled).toMatchObject([{ run_id: run.run_id, cause: 'stop_timed_out' }])
      expect(await runNow(run)).toEqual(stopped)
      expect((await sessionNow(run)).status).toBe('stopped')
      expect(await runNow(younger)).toEqual(younger)
      expect((await sessionNow(younger)).status).toBe('stopping')
    })

    it('counts from the request, not from when the runner was told', async () => {
      const { bring, runs, clock } = await setup()
      const { report } = await bring('stopping')
      clock.advance(60)
      await runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      expect(await runs.settleUnconfirmedStops(clock.ago(60), clock.now(), 10)).toHaveLength(1)
    })

    it('settles the stop of an idle session', async () => {
      const { bring, runs, sessions, sessionNow, clock } = await setup()
      const { run, report } = await bring('running')
      const idle = { session_status: 'idle' as const, result: null }
      await runs.complete({ ...report, ...idle }, clock.now())
      await sessions.stop(run.session_id, clock.now())
      clock.advance(60)
      await runs.settleUnconfirmedStops(clock.ago(61), clock.now(), 10)
      expect((await sessionNow(run)).status).toBe('stopping')
      await runs.settleUnconfirmedStops(clock.ago(60), clock.now(), 10)
      expect((await sessionNow(run)).status).toBe('stopped')
    })

    it.each(but('stopping'))('leaves a %s run alone', async (status) => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run } = await bring(status)
      const session = await sessionNow(run)
      expect(await runs.settleUnconfirmedStops(clock.advance(HOUR), clock.now(), 10)).toEqual([])
      expect(await runNow(run)).toEqual(run)
      expect(await sessionNow(run)).toEqual(session)
    })

    it('settles at most as many as asked for; a session does not run ahead of its run', async () => {
      const { bring, register, runs, runNow, sessionNow, clock } = await setup()
      const runner = await register()
      const held = []
      for (let i = 0; i < 5; i++) held.push((await bring('stopping', {}, runner)).run)
      clock.advance(60)
      const settle = () => runs.settleUnconfirmedStops(clock.now(), clock.now(), 3)
      expect(await settle()).toHaveLength(3)
      for (const run of held) {
        expect((await sessionNow(run)).status).toBe((await runNow(run)).status)
      }
      expect([(await settle()).length, (await settle()).length]).toEqual([2, 0])
      for (const run of held) expect((await sessionNow(run)).status).toBe('stopped')
    })
  })

  it('sweeps done by two processes at once change each run once', async () => {
    const { bring, add, open, register, runs, clock } = await setup()
    const other = await open()
    const runner = await register()
    for (let i = 0; i < 10; i++) await bring(i % 2 ? 'claimed' : 'stopping', {}, runner)
    for (let i = 0; i < 5; i++) await add({ demands: { tags: ['x'] }, timeout_seconds: 1 })
    const now = clock.advance(60)
    const changed = await Promise.all(
      [runs, other.runs, runs, other.runs].flatMap((queue) => [
        queue.failTimedOut(now, 3),
        queue.releaseUnstarted(now, now, 3),
        queue.settleUnconfirmedStops(now, now, 3),
      ]),
    )
    const ids = changed.flat().map(({ run_id }) => run_id)
    expect(ids).toHaveLength(15)
    expect(new Set(ids).size).toBe(15)
  })
}
