import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import { DURATION_BOUNDS, type MetricsReading, type Totals } from '../../src/queue/metrics.ts'
import { RUN_STATUSES, TERMINAL_STATUSES } from '../../src/queue/run.ts'
import { type Random, seededRandom } from '../simulation/random.ts'
import { aNewRun, uniqueHex } from '../support/factories.ts'
import type { Held, Setup, World } from './world.ts'

const reading = ({ metrics }: Pick<Engine, 'metrics'>, at: string): Promise<MetricsReading> =>
  metrics.read(at)

async function totals(engine: Pick<Engine, 'metrics'>): Promise<Totals> {
  const read = await reading(engine, '')
  return read.totals ?? expect.fail('there is more to fold than a reader looks through')
}

async function foldAll({ metrics }: Pick<Engine, 'metrics'>): Promise<number> {
  let all = 0
  for (;;) {
    const { events } = await metrics.fold()
    if (events === 0) return all
    all += events
  }
}

/** How many durations lie in the bucket that this many seconds fall into. */
function countOf({ counts }: Totals['queue_seconds'], seconds: number): number | undefined {
  const place = DURATION_BOUNDS.findIndex((bound) => seconds <= bound)
  return counts[place === -1 ? DURATION_BOUNDS.length : place]
}

/** What a caller of the queue knows of what it did. */
class Truth {
  readonly known = {
    added: 0,
    claimed: 0,
    finished: { completed: 0, failed: 0, stopped: 0 },
    retried: 0,
  }

  readonly #held: Held[] = []
  readonly #ended: Held[] = []

  async step(world: World, random: Random): Promise<void> {
    const { runs, clock } = world
    const { known } = this
    clock.advance(random.below(100))
    const now = clock.now()
    switch (
      random.weighted({ add: 5, claim: 5, end: 5, cancel: 1, retry: 1, forget: 1, fold: 2 })
    ) {
      case 'add': {
        const many = 1 + random.below(3)
        await runs.addMany(
          Array.from({ length: many }, () => aNewRun({ max_attempts: 1 + random.below(3) })),
          now,
        )
        known.added += many
        return
      }
      case 'claim': {
        const runner = await world.register()
        const [run] = await world.claim(runner)
        if (!run) return
        const { run_id, claim_token } = run
        const report = { run_id, claim_token, runner_id: runner.runner_id }
        known.claimed += 1
        if (random.oneIn(4)) {
          await runs.release(run_id, claim_token, now)
          return
        }
        if (random.oneIn(2)) await runs.start(report, now)
        this.#held.push({ run, report })
        return
      }
      case 'end':
        return await this.#end(world, random)
      case 'cancel': {
        const [run] = await runs.pending(1)
        if (!run) return
        await runs.stop(run.run_id, now)
        known.finished.stopped += 1
        return
      }
      case 'retry': {
        const { run } = this.#ended.pop() ?? {}
        if (!run) return
        await runs.retry(run.run_id, `run_${uniqueHex()}`, now).then(
          () => {
            known.added += 1
          },
          () => {},
        )
        return
      }
      case 'forget':
        await world.storage.prune({ before: clock.ago(random.below(300)), limit: 100 })
        return
      case 'fold':
        await world.metrics.fold()
    }
  }

  async #end({ runs, clock }: World, random: Random): Promise<void> {
    const { known } = this
    const now = clock.now()
    const [held] = this.#held.splice(0, 1)
    if (!held) return
    const { report, run } = held
    this.#ended.push(held)
    switch (random.pick(TERMINAL_STATUSES)) {
      case 'completed':
        await runs.complete({ ...report, session_status: 'finished', result: null }, now)
        known.finished.completed += 1
        return
      case 'stopped':
        if (random.oneIn(2)) await runs.stop(report.run_id, now)
        await runs.confirmStop(report, now)
        known.finished.stopped += 1
        return
      default:
        await runs.fail({ ...report, error: 'broken' }, now)
        if (run.attempt < run.max_attempts) known.retried += 1
        else known.finished.failed += 1
    }
  }
}

async function countByStatus({ runs }: World): Promise<Totals['runs']> {
  const { runs: all } = await runs.list({ limit: 1000 })
  const counts = RUN_STATUSES.map((status) => [
    status,
    all.filter((run) => run.status === status).length,
  ])
  return Object.fromEntries(counts)
}

export function describeMetrics(setup: Setup): void {
  describe('metrics', () => {
    it.each([7, 20260131])('are what was done, whatever was done (seed %i)', async (seed) => {
      const world = await setup()
      const truth = new Truth()
      const random = seededRandom(seed)
      for (let step = 0; step < 150; step++) await truth.step(world, random)
      const unfolded = await totals(world)
      expect(unfolded).toMatchObject(truth.known)
      expect(unfolded.runs).toEqual(await countByStatus(world))
      const { queue_seconds } = unfolded
      expect(queue_seconds.counts.reduce((sum, count) => sum + count)).toBe(unfolded.claimed)
      await foldAll(world)
      expect(await totals(world)).toEqual(unfolded)
      await world.storage.prune({ before: world.clock.advance(10), limit: 1000 })
      expect(await totals(world)).toEqual({ ...unfolded, runs: await countByStatus(world) })
    })

    it('tell how long runs waited, each time from when they could be claimed', async () => {
      const world = await setup()
      const { add, register, claim, runs, clock } = world
      const runner = await register()
      const { run_id } = await add({ available_at: clock.ahead(50) })
      clock.advance(50)
      await runs.makeAvailable(clock.now(), 10)
      clock.advance(4)
      await runs.setDemands(run_id, { hostname: 'alpha', tags: [] }, 60, clock.now())
      clock.advance(4)
      const [first] = await claim(runner)
      expect(countOf((await totals(world)).queue_seconds, 8)).toBe(1)
      clock.advance(100)
      await runs.release(run_id, first?.claim_token ?? '', clock.now())
      clock.advance(0.25)
      await foldAll(world)
      await claim(runner)
      const { queue_seconds } = await totals(world)
      expect(countOf(queue_seconds, 0.25)).toBe(1)
      expect(queue_seconds.sum).toBeCloseTo(8.25, 3)
    })

    it('tell how long attempts ran that were started', async () => {
      const world = await setup()
      const { bring, register, claim, runs, clock } = world
      const runner = await register()
      const { run, report } = await bring('running', { max_attempts: 2 }, runner)
      clock.advance(20)
      await runs.fail({ ...report, error: 'broken' }, clock.now())
      await foldAll(world)
      const [again] = await claim(runner)
      const second = { ...report, claim_token: again?.claim_token ?? '' }
      await runs.stop(run.run_id, clock.now())
      clock.advance(1000)
      await runs.confirmStop(second, clock.now())
      const unstarted = await totals(world)
      expect(unstarted.run_seconds.sum).toBe(20)
      expect(unstarted.retried).toBe(1)
      const long = await bring('running', {}, runner)
      clock.advance(100_000)
      const idle = { ...long.report, session_status: 'idle', result: null } as const
      await runs.complete(idle, clock.now())
      const { run_seconds } = await totals(world)
      expect(run_seconds.sum).toBe(100_020)
      expect([countOf(run_seconds, 20), countOf(run_seconds, 100_000)]).toEqual([1, 1])
    })

    it('take a clock that was set back for no time', async () => {
      const world = await setup()
      const runner = await world.register()
      await world.add()
      world.clock.advance(-60)
      await world.claim(runner)
      const { queue_seconds } = await totals(world)
      expect([queue_seconds.sum, countOf(queue_seconds, 0)]).toEqual([0, 1])
    })

    it('are not lowered by what deletes runs before it was counted', async () => {
      const world = await setup()
      const { bring, sessions, clock } = world
      const { run } = await bring('completed')
      await sessions.delete(run.session_id)
      await bring('failed')
      await foldAll(world)
      await bring('stopped')
      const { storage, ...others } = world
      const before = await totals(others)
      await storage.prune({ before: clock.advance(1), limit: 100 })
      const after = await totals(world)
      expect(after).toMatchObject({ added: 3, finished: { completed: 1, failed: 1, stopped: 1 } })
      expect(after).toEqual({ ...before, runs: await countByStatus(world) })
      await foldAll(world)
      expect(await totals(world)).toEqual(after)
    })

    it('are folded once, by however many processes at once', async () => {
      const world = await setup()
      const others = [world, await world.open(), await world.open()]
      const many = Array.from({ length: 100 }, () => aNewRun())
      let folded = 0
      for (let round = 0; round < 5; round++) {
        await world.runs.addMany(
          many.map(() => aNewRun()),
          world.clock.now(),
        )
        const all = await Promise.all([...others, ...others].map((each) => each.metrics.fold()))
        folded += all.reduce((sum, { events }) => sum + events, 0)
      }
      expect(folded + (await foldAll(world))).toBe(500)
      for (const each of others) expect(await totals(each)).toMatchObject({ added: 500 })
      expect(await foldAll(world)).toBe(0)
    })

    it('tell how many runners are online, how many stale, and what commits took', async () => {
      const world = await setup()
      const { register, clock, metrics } = world
      expect((await metrics.read(clock.now())).runners).toEqual({ online: 0, stale: 0 })
      await register()
      clock.advance(60)
      await register()
      await register()
      const { runners } = await metrics.read(clock.ago(60))
      expect(runners).toEqual({ online: 2, stale: 1 })
      const commits = await metrics.commits()
      expect(commits.counts.reduce((sum, count) => sum + count)).toBeGreaterThan(0)
      expect(commits.sum).toBeGreaterThan(0)
    })
  })
}
