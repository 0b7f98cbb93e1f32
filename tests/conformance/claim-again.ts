import { describe, expect, it } from 'vitest'
import { MATCH_TIMEOUT_SECONDS } from '../../src/queue/run-queue.ts'
import { someTokens } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeClaimAgain(setup: Setup): void {
  describe('claim_key', () => {
    it('repeated, gives the same runs with the same tokens in the same order', async () => {
      const { add, register, claim, clock } = await setup()
      const runner = await register()
      for (const priority of [0, 1, 0, 2]) await add({ priority })
      const first = await claim(runner, { limit: 3, claim_key: 'k' })
      clock.advance(1)
      const again = await claim(runner, { limit: 3, claim_key: 'k' })
      expect(first).toHaveLength(3)
      expect(again).toEqual(first)
      // Not one more, however many are asked for now.
      expect(await claim(runner, { limit: 9, claim_key: 'k' })).toEqual(first)
    })

    it('repeated at the same moment, gives the same runs, too', async () => {
      const { add, register, claim } = await setup()
      const [runner, other] = [await register(), await register()]
      for (let i = 0; i < 9; i++) await add()
      const [one, two, three, others] = await Promise.all([
        claim(runner, { limit: 2, claim_key: 'k' }),
        claim(runner, { limit: 2, claim_key: 'k' }),
        claim(runner, { limit: 9, claim_key: 'k' }),
        claim(other, { limit: 2, claim_key: 'k' }),
      ])
      expect(one).toHaveLength(2)
      expect([two, three]).toEqual([one, one])
      expect(others).toHaveLength(2)
      expect(others?.map(({ run_id }) => run_id)).not.toContain(one?.[0]?.run_id)
    })

    it('holds across a restart', async () => {
      const { add, register, claim, open, close, clock } = await setup()
      const runner = await register()
      await add()
      await add()
      const first = await claim(runner, { limit: 1, claim_key: 'k' })
      await close()
      const { runner_id } = runner
      const restarted = await open()
      const repeated = { runner_id, limit: 1, claim_key: 'k', tokens: someTokens(1) }
      expect(await restarted.runs.claim(repeated, clock.advance(9))).toEqual(first)
    })

    it('gives the runs as they are now, without those that ended', async () => {
      const { add, register, claim, runs, clock } = await setup()
      const runner = await register()
      const { runner_id } = runner
      for (let i = 0; i < 3; i++) await add()
      const [done, started] = await claim(runner, { limit: 2, claim_key: 'k' })
      const ended = { session_status: 'finished' as const, result: null }
      const report = (of = done) => ({
        run_id: of?.run_id ?? '',
        runner_id,
        claim_token: of?.claim_token ?? null,
      })
      await runs.complete({ ...report(), ...ended }, clock.now())
      await runs.start(report(started), clock.now())
      expect(await claim(runner, { limit: 2, claim_key: 'k' })).toMatchObject([
        { run_id: started?.run_id, claim_token: started?.claim_token, status: 'running' },
      ])
      await runs.complete({ ...report(started), ...ended }, clock.now())
      expect(await claim(runner, { limit: 2, claim_key: 'k' })).toEqual([])
    })

    it('is a new claim while the first got nothing', async () => {
      const { add, register, claim } = await setup()
      const runner = await register()
      expect(await claim(runner, { claim_key: 'k' })).toEqual([])
      const run = await add()
      expect(await claim(runner, { claim_key: 'k' })).toMatchObject([{ run_id: run.run_id }])
    })

    it('is a new claim once the run was released', async () => {
      const { add, register, claim, runs, clock } = await setup()
      const runner = await register()
      const run = await add()
      const [first] = await claim(runner, { claim_key: 'k' })
      await runs.release(run.run_id, first?.claim_token ?? '', clock.now())
      const [second] = await claim(runner, { claim_key: 'k' })
      expect(second?.run_id).toBe(run.run_id)
      expect(second?.claim_token).not.toBe(first?.claim_token)
    })

    it('of another claim, or of another runner, gets other runs', async () => {
      const { add, register, claim } = await setup()
      const [one, two] = [await register(), await register()]
      const ids: string[] = []
      for (let i = 0; i < 4; i++) ids.push((await add()).run_id)
      const claimed = [
        await claim(one, { claim_key: 'k' }),
        await claim(one, { claim_key: 'l' }),
        await claim(two, { claim_key: 'k' }),
        await claim(one),
      ]
      expect(claimed.flat().map(({ run_id }) => run_id)).toEqual(ids)
      expect(await claim(two, { claim_key: 'k' })).toEqual(claimed[2])
    })
  })

  describe('release', () => {
    it('gives the run back as if it had never been claimed', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('claimed')
      const session = await sessionNow(run)
      await runs.release(run.run_id, report.claim_token ?? '', clock.advance(3))
      expect(await runNow(run)).toEqual({
        ...run,
        status: 'pending',
        runner_id: null,
        claimed_at: null,
        attempt: 0,
      })
      expect(await sessionNow(run)).toEqual(session)
    })

    it('gives it back to its place in the queue', async () => {
      const { bring, add, register, claim, runs, clock } = await setup()
      const { run, report } = await bring('claimed')
      clock.advance(1)
      await add()
      await runs.release(run.run_id, report.claim_token ?? '', clock.now())
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id, attempt: 1 }])
    })

    it.each([undefined, 7.5])('lets it wait again for a match, %s seconds', async (seconds) => {
      const { bring, runs, runNow, clock } = await setup()
      const facts = { demands: { hostname: 'alpha', tags: [] } }
      const timeout = seconds === undefined ? {} : { timeout_seconds: seconds }
      const { run, report } = await bring('claimed', { ...facts, ...timeout })
      clock.advance(100)
      await runs.release(run.run_id, report.claim_token ?? '', clock.now())
      const { timeout_at } = await runNow(run)
      expect(timeout_at).toBe(clock.ahead(seconds ?? MATCH_TIMEOUT_SECONDS))
    })

    it('does nothing with a token that no longer holds the run', async () => {
      const { bring, claim, register, runs, runNow, clock } = await setup()
      const { run, report } = await bring('claimed')
      const outdated = report.claim_token ?? ''
      await runs.release(run.run_id, outdated, clock.now())
      await claim(await register())
      const held = await runNow(run)
      await runs.release(run.run_id, outdated, clock.now())
      await runs.release(run.run_id, 'never given', clock.now())
      expect(await runNow(run)).toEqual(held)
      await runs.release('run_unknown', 'token', clock.now())
    })

    it.each(['running', 'stopping', 'completed', 'failed', 'stopped'] as const)(
      'does nothing to a run that is %s',
      async (status) => {
        const { bring, runs, runNow, clock } = await setup()
        const { run, report } = await bring(status)
        await runs.release(run.run_id, report.claim_token ?? '', clock.advance(1))
        expect(await runNow(run)).toEqual(run)
      },
    )
  })
}
