import { describe, expect, it } from 'vitest'
import { CLAIM_LIMIT } from '../../src/queue/run-queue.ts'
import { aNewRun, someTokens } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeClaim(setup: Setup): void {
  describe('claim', () => {
    it('hands the run to the runner', async () => {
      const { add, register, runs, runNow, clock } = await setup()
      const runner = await register()
      const added = await add({ scope: { tenant: 'x' } })
      clock.advance(2)
      const { runner_id } = runner
      const claim = { runner_id, limit: 1, claim_key: null, tokens: ['the-token'] }
      const claimed = await runs.claim(claim, clock.now())
      const held = {
        ...added,
        status: 'claimed',
        runner_id,
        claimed_at: clock.now(),
        attempt: 1,
      }
      expect(claimed).toEqual([{ ...held, claim_token: 'the-token', traceparent: null }])
      expect(await runNow(added)).toEqual(held)
    })

    it('leaves the session waiting', async () => {
      const { bring, sessionNow } = await setup()
      const { run } = await bring('claimed')
      expect((await sessionNow(run)).status).toBe('pending')
    })

    it('hands out a run once', async () => {
      const { add, register, claim } = await setup()
      await add()
      expect(await claim(await register())).toHaveLength(1)
      expect(await claim(await register())).toEqual([])
    })

    it.each(['claimed', 'running', 'stopping', 'completed', 'failed', 'stopped'] as const)(
      'hands out no run that is %s',
      async (status) => {
        const { bring, register, claim } = await setup()
        await bring(status)
        expect(await claim(await register())).toEqual([])
      },
    )

    it('takes the oldest first, whatever the order of insertion', async () => {
      const { runs, register, claim, clock } = await setup()
      const ages = [3, 9, 1, 7]
      const ids = new Map<number, string>()
      for (const age of ages) {
        const { run } = await runs.add(aNewRun(), clock.ago(age))
        ids.set(age, run.run_id)
      }
      const claimed = await claim(await register(), { limit: 4 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual([9, 7, 3, 1].map((age) => ids.get(age)))
    })

    it('takes runs of the same instant in the order of insertion', async () => {
      const { add, register, claim } = await setup()
      const ids: string[] = []
      for (let i = 0; i < 25; i++) ids.push((await add()).run_id)
      const claimed = await claim(await register(), { limit: 25 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual(ids)
    })

    it('takes the highest priority first, and the oldest within it', async () => {
      const { add, register, claim, clock } = await setup()
      const added: string[] = []
      for (const priority of [0, -1, 5, 0, 5, 10]) {
        added.push((await add({ priority })).run_id)
        clock.advance(1)
      }
      const claimed = await claim(await register(), { limit: 6 })
      expect(claimed.map(({ run_id }) => added.indexOf(run_id))).toEqual([5, 2, 4, 0, 3, 1])
    })

    it('keeps that order across runs that demand different things', async () => {
      const { add, register, claim, clock } = await setup()
      const runner = await register({ hostname: 'alpha', tags: ['a', 'b'] })
      const added: string[] = []
      const demanded = [
        { hostname: 'alpha', tags: [] },
        { tags: ['b'] },
        null,
        { hostname: 'alpha', tags: ['a', 'b'] },
        { tags: ['a'] },
        null,
      ]
      for (const [i, demands] of demanded.entries()) {
        added.push((await add({ demands, priority: i === 3 ? 1 : 0 })).run_id)
        clock.advance(1)
      }
      const claimed = await claim(runner, { limit: 10 })
      expect(claimed.map(({ run_id }) => added.indexOf(run_id))).toEqual([3, 0, 1, 2, 4, 5])
    })

    it('goes past runs that the runner cannot take', async () => {
      const { runs, add, register, claim, clock } = await setup()
      const others = Array.from({ length: 300 }, (_, i) =>
        aNewRun({
          demands: { hostname: `host-${i % 100}`, tags: [`tag-${i % 7}`] },
          priority: 9,
        }),
      )
      await runs.addMany(others, clock.now())
      clock.advance(1)
      const mine = await add({ demands: { hostname: 'host-x', tags: ['x'] } })
      const runner = await register({ hostname: 'host-x', tags: ['x'] })
      expect(await claim(runner, { limit: 5 })).toMatchObject([{ run_id: mine.run_id }])
    })

    it('hands out as many as asked for, each with a token of its own', async () => {
      const { runs, register, claim, clock } = await setup()
      const batch = Array.from({ length: CLAIM_LIMIT + 5 }, () => aNewRun())
      await runs.addMany(batch, clock.now())
      const runner = await register()
      expect(await claim(runner, { limit: 3 })).toHaveLength(3)
      // More tokens than the limit asks for are left unused.
      expect(await claim(runner, { limit: 2, tokens: someTokens(9) })).toHaveLength(2)
      const tokens = someTokens(CLAIM_LIMIT)
      const claimed = await claim(runner, { limit: CLAIM_LIMIT, tokens })
      expect(claimed.map(({ claim_token }) => claim_token).sort()).toEqual([...tokens].sort())
    })

    it('hands out fewer where there are fewer', async () => {
      const { add, register, claim } = await setup()
      const ids = [(await add()).run_id, (await add()).run_id]
      const claimed = await claim(await register(), { limit: 10 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual(ids)
    })

    it('hands nothing to a runner that is not registered', async () => {
      const { add, claim, runNow } = await setup()
      const run = await add()
      expect(await claim({ runner_id: 'lnch_unknown' })).toEqual([])
      expect(await runNow(run)).toEqual(run)
    })

    it('hands nothing to a runner that is marked for removal', async () => {
      const { add, register, claim, runners, clock } = await setup()
      await add()
      const runner = await register()
      await runners.deregister(runner.runner_id, clock.now())
      expect(await claim(runner)).toEqual([])
    })

    it('hands each run to one of two processes that claim at once', async () => {
      const { runs, open, register, clock } = await setup()
      const other = await open()
      const batch = Array.from({ length: 60 }, () => aNewRun())
      await runs.addMany(batch, clock.now())
      const { runner_id } = await register()
      const claims = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          (i % 2 ? runs : other.runs).claim(
            { runner_id, limit: 2, claim_key: null, tokens: someTokens(2) },
            clock.now(),
          ),
        ),
      )
      const ids = claims.flat().map(({ run_id }) => run_id)
      expect(ids).toHaveLength(60)
      expect(new Set(ids).size).toBe(60)
    })
  })
}
