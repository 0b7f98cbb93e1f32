import { describe, expect, it } from 'vitest'
import type { PollOutcome } from '../../src/queue/run-queue.ts'
import { someTokens } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

function look({ runs, clock }: World, runner_id: string, limit = 1): Promise<PollOutcome> {
  const claim = { runner_id, limit, claim_key: null, tokens: someTokens(limit) }
  return runs.poll(claim, clock.now(), clock.ago(60))
}

export function describePoll(setup: Setup): void {
  describe('poll', () => {
    it('finds nothing, and tells whom it found nothing for', async () => {
      const world = await setup()
      await world.add({ demands: { hostname: 'elsewhere' } })
      const runner = await world.register()
      expect(await look(world, runner.runner_id)).toEqual({ kind: 'nothing', runner })
    })

    it('knows no runner that is not registered', async () => {
      const world = await setup()
      await world.add()
      expect(await look(world, 'lnch_unknown')).toEqual({ kind: 'not_registered' })
    })

    it('hands out runs, as a claim does', async () => {
      const world = await setup()
      const added = [await world.add(), await world.add(), await world.add()]
      const { runner_id } = await world.register()
      const found = await look(world, runner_id, 2)
      expect(found).toMatchObject({
        kind: 'runs',
        runs: added.slice(0, 2).map(({ run_id }) => ({ run_id, status: 'claimed', runner_id })),
      })
    })

    it('hands out stops before runs, once, and again when they were not confirmed', async () => {
      const world = await setup()
      const { run, report } = await world.bring('stopping')
      await world.add()
      const { run_id, session_id } = run
      const stops = { kind: 'stops', stops: { run_ids: [run_id], session_ids: [session_id] } }
      expect(await look(world, report.runner_id)).toEqual(stops)
      expect(await look(world, report.runner_id)).toMatchObject({ kind: 'runs' })
      world.clock.advance(61)
      expect(await look(world, report.runner_id)).toEqual(stops)
    })

    it('with limit 0 looks for stops only', async () => {
      const world = await setup()
      const { run, report } = await world.bring('stopping')
      const added = await world.add()
      expect(await look(world, report.runner_id, 0)).toMatchObject({
        stops: { run_ids: [run.run_id] },
      })
      expect(await look(world, report.runner_id, 0)).toMatchObject({ kind: 'nothing' })
      expect(await world.runNow(added)).toEqual(added)
    })

    it('tells a runner that was marked, before all else, and removes it with what it held', async () => {
      const world = await setup()
      const { run, report } = await world.bring('claimed')
      await world.runners.deregister(report.runner_id, world.clock.now())
      expect(await look(world, report.runner_id)).toMatchObject({ kind: 'deregistered' })
      expect(await world.runners.get(report.runner_id)).toBeNull()
      expect(await world.runNow(run)).toMatchObject({ status: 'pending', runner_id: null })
      expect(await look(world, report.runner_id)).toEqual({ kind: 'not_registered' })
    })
  })
}
