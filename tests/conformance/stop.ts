import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import type { Setup } from './world.ts'

export function describeStop(setup: Setup): void {
  describe('stop', () => {
    it('cancels a pending run and its session at once', async () => {
      const { add, runs, runNow, sessionNow, register, claim, clock } = await setup()
      const run = await add()
      const outcome = await runs.stop(run.run_id, clock.advance(1))
      const stopped = { ...run, status: 'stopped', completed_at: clock.now() }
      expect(outcome).toMatchObject({
        run: stopped,
        outcome: 'cancelled',
        session_status: 'stopped',
      })
      expect(await runNow(run)).toEqual(stopped)
      expect((await sessionNow(run)).status).toBe('stopped')
      expect(await claim(await register())).toEqual([])
    })

    it.each(['claimed', 'running'] as const)(
      'asks the runner of a %s run, which is stopping until it confirms',
      async (status) => {
        const { bring, runs, runNow, sessionNow, clock } = await setup()
        const { run, report } = await bring(status)
        const outcome = await runs.stop(run.run_id, clock.advance(1))
        const stopping = { ...run, status: 'stopping' }
        expect(outcome).toMatchObject({
          run: stopping,
          outcome: 'requested',
          session_status: 'stopping',
        })
        expect(await runNow(run)).toEqual(stopping)
        expect((await sessionNow(run)).status).toBe('stopping')
        await runs.confirmStop(report, clock.advance(1))
        expect((await runNow(run)).status).toBe('stopped')
        expect((await sessionNow(run)).status).toBe('stopped')
      },
    )

    it('asked again, changes nothing and does not ask the runner anew', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring('stopping')
      await runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      const outcome = await runs.stop(run.run_id, clock.advance(1))
      expect(outcome).toMatchObject({ run, outcome: 'asked_before', session_status: 'stopping' })
      expect(await runNow(run)).toEqual(run)
      const stops = await runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      expect(stops).toEqual({ run_ids: [], session_ids: [] })
    })

    it.each([
      ['completed', 'finished'],
      ['failed', 'failed'],
      ['stopped', 'stopped'],
    ] as const)('leaves a %s run as it is', async (status, session_status) => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run } = await bring(status)
      const session = await sessionNow(run)
      const outcome = await runs.stop(run.run_id, clock.advance(1))
      expect(outcome).toMatchObject({ run, outcome: 'ended', session_status })
      expect(await runNow(run)).toEqual(run)
      expect(await sessionNow(run)).toEqual(session)
    })

    it('is refused of a run that does not exist', async () => {
      const { runs, clock } = await setup()
      await refusal(runs.stop('run_unknown', clock.now()), 'run_not_found')
    })

    it('loses against an end that was reported first, and keeps how it ended', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('stopping')
      const ended = { session_status: 'finished' as const, result: { text: 'x', data: null } }
      await runs.complete({ ...report, ...ended }, clock.now())
      expect((await runNow(run)).status).toBe('completed')
      expect((await sessionNow(run)).status).toBe('finished')
    })
  })

  describe('takeStops', () => {
    it('gives a stop once, to the runner that holds the run', async () => {
      const { bring, register, runs, clock } = await setup()
      const { run, report } = await bring('stopping')
      const other = await register()
      const take = (runner_id: string) => runs.takeStops(runner_id, clock.now(), clock.ago(60))
      expect(await take(other.runner_id)).toEqual({ run_ids: [], session_ids: [] })
      expect(await take(report.runner_id)).toEqual({
        run_ids: [run.run_id],
        session_ids: [run.session_id],
      })
      expect(await take(report.runner_id)).toEqual({ run_ids: [], session_ids: [] })
    })

    it('gives all that wait', async () => {
      const { bring, register, runs, clock } = await setup()
      const runner = await register()
      const ids = new Set<string>()
      for (let i = 0; i < 3; i++) ids.add((await bring('stopping', {}, runner)).run.run_id)
      const stops = await runs.takeStops(runner.runner_id, clock.now(), clock.ago(60))
      expect(new Set(stops.run_ids)).toEqual(ids)
      expect(stops.session_ids).toHaveLength(3)
    })

    it('gives one again that is not confirmed in time, and then waits as long again', async () => {
      const { bring, runs, clock } = await setup()
      const { run, report } = await bring('stopping')
      const take = () => runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      await take()
      clock.advance(59.9)
      expect((await take()).run_ids).toEqual([])
      clock.advance(0.2)
      expect((await take()).run_ids).toEqual([run.run_id])
      clock.advance(59)
      expect((await take()).run_ids).toEqual([])
    })

    it('gives none that was confirmed, and none whose run ended otherwise', async () => {
      const { bring, runs, clock } = await setup()
      const confirmed = await bring('stopping')
      const failed = await bring('stopping')
      await runs.confirmStop(confirmed.report, clock.now())
      await runs.fail({ ...failed.report, error: 'x' }, clock.now())
      for (const { report } of [confirmed, failed]) {
        const stops = await runs.takeStops(report.runner_id, clock.advance(99), clock.ago(1))
        expect(stops).toEqual({ run_ids: [], session_ids: [] })
      }
    })

    it('outlives a restart', async () => {
      const { bring, close, open, clock } = await setup()
      const { run, report } = await bring('stopping')
      await close()
      const { runs } = await open()
      const stops = await runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      expect(stops.run_ids).toEqual([run.run_id])
    })

    it('gives a stop to one of two processes that take at once', async () => {
      const { bring, open, runs, clock } = await setup()
      const { report } = await bring('stopping')
      const other = await open()
      const taken = await Promise.all(
        [runs, other.runs, runs, other.runs].map((queue) =>
          queue.takeStops(report.runner_id, clock.now(), clock.ago(60)),
        ),
      )
      expect(taken.flatMap(({ run_ids }) => run_ids)).toHaveLength(1)
      expect(taken.flatMap(({ session_ids }) => session_ids)).toHaveLength(1)
    })

    it('gives nothing to a runner that is not known', async () => {
      const { runs, clock } = await setup()
      const stops = await runs.takeStops('lnch_unknown', clock.now(), clock.ago(60))
      expect(stops).toEqual({ run_ids: [], session_ids: [] })
    })
  })
}
