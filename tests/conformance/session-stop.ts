import { describe, expect, it } from 'vitest'
import type { Held, Setup, World } from './world.ts'

/** A session whose executor waits with its runner for the next run. */
async function bringIdle({ bring, runs, clock }: World): Promise<Held> {
  const held = await bring('running')
  const idle = { session_status: 'idle' as const, result: null }
  await runs.complete({ ...held.report, ...idle }, clock.now())
  return held
}

export function describeSessionStop(setup: Setup): void {
  describe('sessions: stop', () => {
    it.each([
      ['pending', 'cancelled', 'stopped'],
      ['claimed', 'requested', 'stopping'],
      ['running', 'requested', 'stopping'],
      ['stopping', 'asked_before', 'stopping'],
    ] as const)('stops the %s run: %s', async (status, outcome, expected) => {
      const { bring, sessions, runNow, sessionNow, clock } = await setup()
      const { run } = await bring(status)
      const stop = await sessions.stop(run.session_id, clock.advance(1))
      expect(stop).toMatchObject({ run_id: run.run_id, outcome, session: { status: expected } })
      expect(stop.session).toEqual(await sessionNow(run))
      expect((await runNow(run)).status).toBe(expected)
    })

    it.each(['completed', 'failed', 'stopped'] as const)(
      'changes nothing where all has ended (%s)',
      async (status) => {
        const { bring, sessions, sessionNow, clock } = await setup()
        const { run } = await bring(status)
        const session = await sessionNow(run)
        const stop = await sessions.stop(run.session_id, clock.advance(1))
        expect(stop).toMatchObject({ session, run_id: null, outcome: 'ended' })
        expect(await sessionNow(run)).toEqual(session)
      },
    )

    it('of a resumed session stops the run that is at work, not an earlier one', async () => {
      const { bring, sessions, runs, clock } = await setup()
      const { run: first } = await bring('completed')
      const { session_id } = first
      const { run, report } = await bring('running', { type: 'resume_session', session_id })
      const stop = await sessions.stop(session_id, clock.now())
      expect(stop).toMatchObject({ run_id: run.run_id, outcome: 'requested' })
      const stops = await runs.takeStops(report.runner_id, clock.now(), clock.ago(60))
      expect(stops).toEqual({ run_ids: [run.run_id], session_ids: [session_id] })
    })

    it('of an idle session is told to its last runner, though no run is active', async () => {
      const world = await setup()
      const { sessions, runs, register, sessionNow, clock } = world
      const { run, report } = await bringIdle(world)
      const { session_id } = run
      const stop = await sessions.stop(session_id, clock.advance(1))
      expect(stop).toMatchObject({
        run_id: null,
        outcome: 'requested',
        session: { status: 'stopping' },
      })
      const stranger = await register()
      const take = (runner_id: string) => runs.takeStops(runner_id, clock.now(), clock.ago(60))
      expect((await take(stranger.runner_id)).session_ids).toEqual([])
      const told = { run_ids: [], session_ids: [session_id] }
      expect(await take(report.runner_id)).toEqual(told)
      expect((await take(report.runner_id)).session_ids).toEqual([])
      clock.advance(60)
      expect(await take(report.runner_id)).toEqual(told)
      await sessions.report(session_id, report.runner_id, 'stopped', clock.now())
      expect((await sessionNow(run)).status).toBe('stopped')
      clock.advance(60)
      expect((await take(report.runner_id)).session_ids).toEqual([])
    })

    it('asked again of an idle session, changes nothing', async () => {
      const world = await setup()
      const { run } = await bringIdle(world)
      const { session } = await world.sessions.stop(run.session_id, world.clock.now())
      const again = await world.sessions.stop(run.session_id, world.clock.advance(1))
      expect(again).toMatchObject({ session, run_id: null, outcome: 'asked_before' })
    })

    it('of an idle session is told to the runner whose report of the start was lost', async () => {
      const { bring, runs, runners, sessions, sessionNow, clock } = await setup()
      const idle = { session_status: 'idle' as const, result: null }
      const { run, report } = await bring('claimed')
      const { session_id } = run
      await runs.complete({ ...report, ...idle }, clock.now())
      await sessions.stop(session_id, clock.now())
      const take = (runner_id: string) => runs.takeStops(runner_id, clock.now(), clock.ago(60))
      expect((await take(report.runner_id)).session_ids).toEqual([session_id])
      // Resumed and served by another runner, whose report is lost too.
      await sessions.report(session_id, report.runner_id, 'stopped', clock.now())
      const again = await bring('claimed', { type: 'resume_session', session_id })
      await runs.complete({ ...again.report, ...idle }, clock.now())
      await runners.remove(report.runner_id, clock.now())
      expect((await sessionNow(run)).status).toBe('idle')
      await sessions.stop(session_id, clock.now())
      expect((await take(again.report.runner_id)).session_ids).toEqual([session_id])
    })

    it('of an idle session is told once more after it was resumed and idle again', async () => {
      const world = await setup()
      const { sessions, runs, register, claim, clock } = world
      const { run, report } = await bringIdle(world)
      const { session_id } = run
      const { runner_id } = report
      await sessions.stop(session_id, clock.now())
      await runs.takeStops(runner_id, clock.now(), clock.ago(60))
      await sessions.report(session_id, runner_id, 'stopped', clock.now())
      const again = await world.add({ type: 'resume_session', session_id })
      const next = await register()
      const [claimed] = await claim(next)
      const second = {
        run_id: again.run_id,
        runner_id: next.runner_id,
        claim_token: claimed?.claim_token ?? null,
      }
      await runs.start(second, clock.now())
      await runs.complete({ ...second, session_status: 'idle', result: null }, clock.now())
      await sessions.stop(session_id, clock.now())
      const take = (id: string) => runs.takeStops(id, clock.now(), clock.ago(60))
      expect((await take(runner_id)).session_ids).toEqual([])
      expect((await take(next.runner_id)).session_ids).toEqual([session_id])
    })
  })
}
