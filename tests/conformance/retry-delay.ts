/** What a run waits between its attempts. */
import { describe, expect, it } from 'vitest'
import type { NewRun, Run } from '../../src/queue/run.ts'
import { RETRY_DELAY_SECONDS_MAX } from '../../src/queue/run-queue.ts'
import { secondsBetween } from '../../src/queue/time.ts'
import type { Setup, World } from './world.ts'

/** Fails the run's next attempt, and lets the time pass that it then waits. */
async function failOnce(world: World, run_id: string): Promise<{ run: Run; waits: number }> {
  const { runs, register, claim, runNow, clock } = world
  const { runner_id } = await register()
  const [claimed] = await claim({ runner_id })
  expect(claimed?.run_id).toBe(run_id)
  const report = { run_id, runner_id, claim_token: claimed?.claim_token ?? null }
  await runs.fail({ ...report, error: 'no' }, clock.now())
  const run = await runNow({ run_id })
  const waits = run.available_at === null ? 0 : secondsBetween(clock.now(), run.available_at)
  clock.advance(waits)
  await runs.makeAvailable(clock.now(), 10)
  return { run, waits }
}

/** What it waits after each of its failures. */
async function waitsOf(world: World, facts: Partial<NewRun>, failures: number): Promise<number[]> {
  const { run_id } = await world.add({ max_attempts: 100, ...facts })
  const waits = []
  for (let i = 0; i < failures; i++) waits.push((await failOnce(world, run_id)).waits)
  return waits
}

export function describeRetryDelay(setup: Setup): void {
  describe('retry_delay_seconds', () => {
    it('doubles with each attempt, and is at most a quarter longer', async () => {
      const waits = await waitsOf(await setup(), { retry_delay_seconds: 10 }, 6)
      for (const [i, seconds] of waits.entries()) {
        expect(seconds).toBeGreaterThanOrEqual(10 * 2 ** i)
        expect(seconds).toBeLessThanOrEqual(12.5 * 2 ** i)
      }
    })

    it('is never more than a day, however often it was tried', async () => {
      const world = await setup()
      const [first, second] = await waitsOf(world, { retry_delay_seconds: 80_000 }, 2)
      expect(first).toBeGreaterThanOrEqual(80_000)
      expect(first).toBeLessThanOrEqual(RETRY_DELAY_SECONDS_MAX)
      expect(second).toBe(RETRY_DELAY_SECONDS_MAX)
      const many = await waitsOf(world, { retry_delay_seconds: 0.001, priority: 1 }, 70)
      expect(many.at(-1)).toBe(RETRY_DELAY_SECONDS_MAX)
    })

    it.each([undefined, null, 0])('that is %s: it is tried again at once', async (delay) => {
      const world = await setup()
      const facts = delay === undefined ? {} : { retry_delay_seconds: delay }
      const { run_id } = await world.add({ max_attempts: 2, ...facts })
      const { run } = await failOnce(world, run_id)
      expect(run).toMatchObject({ status: 'pending', available_at: null })
    })

    it('counts fractions', async () => {
      const [seconds] = await waitsOf(await setup(), { retry_delay_seconds: 0.2 }, 1)
      expect(seconds).toBeGreaterThanOrEqual(0.2)
      expect(seconds).toBeLessThanOrEqual(0.25)
    })

    it('spreads runs that fail together over the quarter', async () => {
      const { add, register, claim, runs, runNow, clock } = await setup()
      const { runner_id } = await register()
      for (let i = 0; i < 20; i++) await add({ max_attempts: 2, retry_delay_seconds: 1000 })
      const waits = []
      for (const { run_id, claim_token } of await claim({ runner_id }, { limit: 20 })) {
        await runs.fail({ run_id, runner_id, claim_token, error: 'all at once' }, clock.now())
        waits.push(secondsBetween(clock.now(), (await runNow({ run_id })).available_at ?? ''))
      }
      expect(new Set(waits).size).toBe(20)
      const quarters = waits.map((seconds) => Math.floor((seconds - 1000) / 62.5))
      for (const quarter of [0, 1, 2, 3]) expect(quarters).toContain(quarter)
    })

    it('keeps the run from being claimed, its session waiting', async () => {
      const world = await setup()
      const { bring, runs, runNow, sessionNow, register, claim, clock } = world
      const { run, report } = await bring('running', { max_attempts: 2, retry_delay_seconds: 10 })
      await runs.fail({ ...report, error: 'once' }, clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'pending', error: 'once', attempt: 1 })
      expect((await sessionNow(run)).status).toBe('pending')
      expect(await claim(await register())).toEqual([])
      await runs.makeAvailable(clock.advance(12.5), 10)
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id, attempt: 2 }])
    })

    it('comes before the time for a match', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const demands = { hostname: 'alpha', tags: [] }
      const facts = { demands, max_attempts: 2, retry_delay_seconds: 10, timeout_seconds: 60 }
      const { run, report } = await bring('running', facts)
      await runs.fail({ ...report, error: 'once' }, clock.advance(5))
      const { available_at, timeout_at } = await runNow(run)
      expect(secondsBetween(available_at ?? '', timeout_at ?? '')).toBe(60)
    })

    it('holds nothing up after the last attempt, nor after a stop', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const facts = { retry_delay_seconds: 10 }
      const last = await bring('running', facts)
      const stopping = await bring('stopping', { ...facts, max_attempts: 3 })
      for (const { run, report } of [last, stopping]) {
        await runs.fail({ ...report, error: 'no' }, clock.now())
        expect(await runNow(run)).toMatchObject({ status: 'failed', available_at: null })
      }
    })

    it('is no delay of a claim that is given back', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const facts = { retry_delay_seconds: 10, max_attempts: 2 }
      const { run, report } = await bring('claimed', facts)
      await runs.release(run.run_id, report.claim_token ?? '', clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'pending', available_at: null })
    })

    it('goes along when the run is added again', async () => {
      const { bring, runs, clock } = await setup()
      const facts = { retry_delay_seconds: 2.5, on_lost: 'requeue' as const, max_attempts: 2 }
      const { run } = await bring('stopped', facts)
      const again = await runs.retry(run.run_id, 'run_again', clock.now())
      expect(again.run).toMatchObject(facts)
    })

    it('a run that is stopped while it waits for its retry is stopped at once', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring('running', { max_attempts: 2, retry_delay_seconds: 10 })
      await runs.fail({ ...report, error: 'once' }, clock.now())
      expect((await runs.stop(run.run_id, clock.now())).outcome).toBe('cancelled')
      expect(await runs.makeAvailable(clock.advance(20), 10)).toEqual([])
      expect((await runNow(run)).status).toBe('stopped')
    })
  })
}
