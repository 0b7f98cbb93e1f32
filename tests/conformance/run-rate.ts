/** How many runs a token may add. */
import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewRun, aNewToken } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

interface Limited extends World {
  addAs(): Promise<unknown>
  addManyAs(count: number): Promise<unknown>
}

/** Two runs a second, five at once. */
const limited = (setup: Setup) => async (): Promise<Limited> => {
  const world = await setup()
  const { tokens, runs, clock } = world
  const { token_id } = await tokens.create(aNewToken({ role: 'client' }), clock.now())
  const bounds = { max_pending: null, rate: { token_id, runs_per_second: 2, burst: 5 } }
  return {
    ...world,
    addAs: () => runs.add(aNewRun(), clock.now(), bounds),
    addManyAs: (count) =>
      runs.addMany(
        Array.from({ length: count }, () => aNewRun()),
        clock.now(),
        bounds,
      ),
  }
}

const WAIT = 'retry_after_seconds'

export function describeRunRate(setup: Setup): void {
  const world = limited(setup)

  describe('the rate of runs', () => {
    it('lets a burst through, then as many as time brings', async () => {
      const { addAs, runs, clock } = await world()
      for (let n = 0; n < 5; n++) await addAs()
      expect((await refusal(addAs(), 'rate_limited')).facts).toEqual({ [WAIT]: 1 })
      clock.advance(0.499)
      await refusal(addAs(), 'rate_limited')
      clock.advance(0.001)
      await addAs()
      await refusal(addAs(), 'rate_limited')
      expect((await runs.list({ limit: 100 })).runs).toHaveLength(6)
    })

    it('never fills beyond a burst', async () => {
      const { addManyAs, addAs, clock } = await world()
      await addAs()
      clock.advance(3600)
      await addManyAs(5)
      await refusal(addAs(), 'rate_limited')
    })

    it('counts each run of a batch, and says when it would fit', async () => {
      const { addManyAs, runs, clock } = await world()
      await addManyAs(4)
      const { facts } = await refusal(addManyAs(4), 'rate_limited')
      expect(facts).toEqual({ [WAIT]: 2 })
      expect((await runs.list({ limit: 100 })).runs).toHaveLength(4)
      clock.advance(1.5)
      await addManyAs(4)
    })

    it('takes a batch larger than a burst when it is full, and is paid off after', async () => {
      const { addManyAs, addAs, clock } = await world()
      await addManyAs(9)
      const { facts } = await refusal(addAs(), 'rate_limited')
      expect(facts).toEqual({ [WAIT]: 3 })
      clock.advance(2.5)
      await addAs()
    })

    it('takes nothing for what is refused for another reason', async () => {
      const { runs, tokens, clock } = await world()
      const { token_id } = await tokens.create(aNewToken(), clock.now())
      const bounds = { max_pending: null, rate: { token_id, runs_per_second: 1, burst: 1 } }
      const unknown = aNewRun({ type: 'resume_session' })
      await refusal(runs.add(unknown, clock.now(), bounds), 'session_not_found')
      await runs.add(aNewRun(), clock.now(), bounds)
    })

    it('counts a retry', async () => {
      const { runs, tokens, bring, clock } = await world()
      const { token_id } = await tokens.create(aNewToken(), clock.now())
      const bounds = { max_pending: null, rate: { token_id, runs_per_second: 1, burst: 1 } }
      const { run } = await bring('failed')
      await runs.add(aNewRun(), clock.now(), bounds)
      const retry = () => runs.retry(run.run_id, aNewRun().run_id, clock.now(), bounds)
      await refusal(retry(), 'rate_limited')
      clock.advance(1)
      await retry()
    })

    it('is one for all processes, and outlives a restart', async () => {
      const { addAs, addManyAs, close, open, tokens, clock } = await world()
      await addManyAs(5)
      const [token] = await tokens.list(1)
      const bounds = {
        max_pending: null,
        rate: { token_id: token?.token_id ?? '', runs_per_second: 2, burst: 5 },
      }
      const other = await open()
      await refusal(other.runs.add(aNewRun(), clock.now(), bounds), 'rate_limited')
      await refusal(addAs(), 'rate_limited')
      await close()
      const later = await open()
      await refusal(later.runs.add(aNewRun(), clock.now(), bounds), 'rate_limited')
      await later.runs.add(aNewRun(), clock.ahead(0.5), bounds)
    })

    it('a clock that is behind brings nothing, and costs nothing', async () => {
      const { addAs, addManyAs, runs, tokens, clock } = await world()
      await addManyAs(3)
      const [token] = await tokens.list(1)
      const rate = { token_id: token?.token_id ?? '', runs_per_second: 2, burst: 5 }
      await runs.add(aNewRun(), clock.ago(60), { max_pending: null, rate })
      await addAs()
      await refusal(addAs(), 'rate_limited')
    })
  })
}
