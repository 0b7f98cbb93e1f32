import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import type { Setup } from './world.ts'

export function describeSetDemands(setup: Setup): void {
  describe('setDemands', () => {
    const demands = { hostname: 'beta', tags: ['t'] }

    it('replaces the demands; the time for a match counts from now', async () => {
      const { add, runs, runNow, clock } = await setup()
      const run = await add({ demands: { executor_type: 'x', tags: ['u'] } })
      const changed = await runs.setDemands(run.run_id, demands, 30, clock.advance(5))
      expect(changed).toEqual({ ...run, demands, timeout_at: clock.ahead(30) })
      expect(await runNow(run)).toEqual(changed)
    })

    it('decides who may claim the run', async () => {
      const { add, register, claim, runs, clock } = await setup()
      const [alpha, beta] = [await register(), await register({ hostname: 'beta', tags: ['t'] })]
      const run = await add({ demands: { hostname: 'alpha', tags: [] } })
      await runs.setDemands(run.run_id, demands, 30, clock.now())
      expect(await claim(alpha)).toEqual([])
      expect(await claim(beta)).toMatchObject([{ run_id: run.run_id }])
    })

    it.each([null, { tags: [] }])('lets a run without demands (%j) wait for ever', async (none) => {
      const { add, runs, runNow, clock } = await setup()
      const run = await add({ demands })
      await runs.setDemands(run.run_id, none, 30, clock.now())
      expect(await runNow(run)).toMatchObject({ demands: null, timeout_at: null })
    })

    it('stores them canonical', async () => {
      const { add, register, claim, runs, runNow, clock } = await setup()
      const run = await add()
      await runs.setDemands(run.run_id, { tags: ['b', 'a', 'b'] }, 30, clock.now())
      expect((await runNow(run)).demands).toEqual({ tags: ['a', 'b'] })
      expect(await claim(await register({ tags: ['a', 'b'] }))).toHaveLength(1)
    })

    it('renews the new timeout when the run is released', async () => {
      const { add, register, claim, runs, runNow, clock } = await setup()
      const run = await add()
      await runs.setDemands(run.run_id, { hostname: 'alpha', tags: [] }, 30, clock.now())
      const [claimed] = await claim(await register())
      await runs.release(run.run_id, claimed?.claim_token ?? '', clock.advance(20))
      expect((await runNow(run)).timeout_at).toBe(clock.ahead(30))
    })

    it.each(['claimed', 'running', 'stopping', 'completed', 'failed', 'stopped'] as const)(
      'is refused of a run that is %s',
      async (status) => {
        const { bring, runs, runNow, clock } = await setup()
        const { run } = await bring(status)
        const change = runs.setDemands(run.run_id, demands, 30, clock.now())
        await refusal(change, 'run_wrong_status')
        expect(await runNow(run)).toEqual(run)
      },
    )

    it('is refused of a run that does not exist', async () => {
      const { runs, clock } = await setup()
      const change = runs.setDemands('run_unknown', demands, 30, clock.now())
      await refusal(change, 'run_not_found')
    })
  })
}
