import { describe, expect, it } from 'vitest'
import { ERRORS } from '../../src/queue/recovery.ts'
import { refusal } from '../support/errors.ts'
import type { Setup } from './world.ts'

export function describeRemoval(setup: Setup): void {
  describe('remove', () => {
    it('removes the runner', async () => {
      const { register, runners, clock } = await setup()
      const { runner_id } = await register()
      expect(await runners.remove(runner_id, clock.now())).toEqual([])
      expect(await runners.get(runner_id)).toBeNull()
      await refusal(runners.remove(runner_id, clock.now()), 'runner_not_found')
      await register({ runner_id })
    })

    it('gives back the runs it claimed, as if never claimed', async () => {
      const { bring, runners, runNow, sessionNow, clock } = await setup()
      const demands = { hostname: 'alpha', tags: [] }
      const { run, report } = await bring('claimed', { demands, timeout_seconds: 50 })
      const removed = await runners.remove(report.runner_id, clock.advance(2))
      const pending = {
        ...run,
        status: 'pending',
        runner_id: null,
        claimed_at: null,
        attempt: 0,
        timeout_at: clock.ahead(50),
      }
      const { run_id } = run
      const { runner_id } = report
      const change = { run_id, runner_id, status: 'pending', cause: 'runner_removed' }
      expect(removed).toMatchObject([change])
      expect(await runNow(run)).toEqual(pending)
      expect((await sessionNow(run)).status).toBe('pending')
    })

    it('fails the runs at work, and their sessions', async () => {
      const { bring, runners, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('running')
      const removed = await runners.remove(report.runner_id, clock.advance(2))
      expect(removed).toMatchObject([{ run_id: run.run_id, status: 'failed' }])
      expect(await runNow(run)).toMatchObject({
        status: 'failed',
        error: ERRORS.runnerLost,
        completed_at: clock.now(),
      })
      expect((await sessionNow(run)).status).toBe('failed')
    })

    it('makes a run at work pending again that is to be requeued', async () => {
      const { bring, register, claim, runners, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('running', { max_attempts: 2, on_lost: 'requeue' })
      await runners.remove(report.runner_id, clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'pending', runner_id: null })
      expect((await sessionNow(run)).status).toBe('pending')
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id, attempt: 2 }])
    })

    it('takes a stop as done, whatever attempts are left', async () => {
      const { bring, runners, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('stopping', { max_attempts: 3 })
      await runners.remove(report.runner_id, clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'stopped', completed_at: clock.now() })
      expect((await sessionNow(run)).status).toBe('stopped')
    })

    it.each(['completed', 'failed', 'stopped'] as const)('leaves a %s run', async (status) => {
      const { bring, runners, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring(status)
      const session = await sessionNow(run)
      expect(await runners.remove(report.runner_id, clock.advance(1))).toEqual([])
      expect(await runNow(run)).toEqual(run)
      expect(await sessionNow(run)).toEqual(session)
    })

    it('finishes the sessions that were idle with it; a stop of one is done', async () => {
      const { bring, register, sessions, runs, runners, sessionNow, clock } = await setup()
      const idle = { session_status: 'idle' as const, result: null }
      const runner = await register()
      const [waiting, stopping, other] = [
        await bring('running', {}, runner),
        await bring('running', {}, runner),
        await bring('running'),
      ]
      for (const { report } of [waiting, stopping, other]) {
        await runs.complete({ ...report, ...idle }, clock.now())
      }
      await sessions.stop(stopping.run.session_id, clock.now())
      await runners.remove(runner.runner_id, clock.now())
      expect((await sessionNow(waiting.run)).status).toBe('finished')
      expect((await sessionNow(stopping.run)).status).toBe('stopped')
      expect((await sessionNow(other.run)).status).toBe('idle')
    })

    it('leaves what other runners hold', async () => {
      const { bring, runners, runNow, clock } = await setup()
      const lost = await bring('running')
      const [claimed, running] = [await bring('claimed'), await bring('running')]
      await runners.remove(lost.report.runner_id, clock.now())
      for (const { run } of [claimed, running]) expect(await runNow(run)).toEqual(run)
    })

    it('returns all that it held', async () => {
      const { bring, register, runners, clock } = await setup()
      const runner = await register()
      const ids = new Set<string>()
      for (const status of ['stopping', 'running', 'running', 'claimed'] as const) {
        ids.add((await bring(status, {}, runner)).run.run_id)
      }
      const removed = await runners.remove(runner.runner_id, clock.now())
      expect(new Set(removed.map(({ run_id }) => run_id))).toEqual(ids)
      expect(removed.map(({ status }) => status).sort()).toEqual(
        ['failed', 'failed', 'pending', 'stopped'].sort(),
      )
    })
  })

  describe('removeLost', () => {
    it('notices silence also after the clock was set back', async () => {
      const { register, runners, clock } = await setup()
      const lost = await register()
      const alive = await register()
      const silent = (now: string) => runners.removeLost(clock.ago(600), now, 10)
      clock.advance(-3600)
      expect((await silent(clock.now())).runner_ids).toEqual([])
      clock.advance(600)
      await runners.heartbeat(alive.runner_id, clock.now())
      expect(await silent(clock.now())).toEqual({
        ...{ runner_ids: [lost.runner_id], changes: [] },
      })
    })

    it('takes a heartbeat of a server whose clock is a little ahead as it is', async () => {
      const { register, runners, clock } = await setup()
      const { runner_id } = await register()
      const ahead = clock.ahead(30)
      await runners.heartbeat(runner_id, ahead)
      await runners.removeLost(clock.ago(600), clock.now(), 10)
      expect(await runners.get(runner_id)).toMatchObject({ last_heartbeat: ahead })
    })

    it('removes the runners silent since then, and settles their runs', async () => {
      const { bring, register, runners, runNow, clock } = await setup()
      const { run, report } = await bring('running')
      clock.advance(0.001)
      const alive = await register()
      clock.advance(600)
      const lost = await runners.removeLost(clock.ago(600.001), clock.now(), 10)
      const { runner_id } = report
      const { run_id, session_id } = run
      const change = { run_id, session_id, runner_id, status: 'failed', attempt: 1 }
      const changes = [{ ...change, cause: 'runner_lost', changed_by: 'service' }]
      expect(lost).toEqual({ runner_ids: [runner_id], changes })
      expect((await runNow(run)).error).toBe(ERRORS.runnerLost)
      expect(await runners.get(report.runner_id)).toBeNull()
      expect(await runners.get(alive.runner_id)).not.toBeNull()
    })

    it('keeps a runner that gave a sign of life', async () => {
      const { register, runners, clock } = await setup()
      const { runner_id } = await register()
      await runners.heartbeat(runner_id, clock.advance(600))
      expect(await runners.removeLost(clock.ago(599), clock.advance(1), 10)).toMatchObject({
        runner_ids: [],
      })
    })

    it('removes at most as many as asked for, and each once', async () => {
      const { register, runners, clock } = await setup()
      for (let i = 0; i < 5; i++) await register()
      const now = clock.advance(600)
      const counts = []
      for (let i = 0; i < 3; i++) {
        counts.push((await runners.removeLost(now, now, 3)).runner_ids.length)
      }
      expect(counts).toEqual([3, 2, 0])
    })

    it('done by two processes at once, returns each runner once', async () => {
      const { register, runners, open, clock } = await setup()
      const other = await open()
      for (let i = 0; i < 6; i++) await register()
      const now = clock.advance(600)
      const lost = await Promise.all(
        [runners, other.runners, runners].map((registry) => registry.removeLost(now, now, 4)),
      )
      const ids = lost.flatMap(({ runner_ids }) => runner_ids)
      expect(ids).toHaveLength(6)
      expect(new Set(ids).size).toBe(6)
    })
  })
}
