import { describe, expect, it } from 'vitest'
import { satisfies } from '../../src/queue/demands.ts'
import type { Run } from '../../src/queue/run.ts'
import type { NewRunner, Runner } from '../../src/queue/runner.ts'
import { aNewRun } from '../support/factories.ts'
import { type Child, forkModule } from '../support/fork.ts'
import type { Setup, World } from './world.ts'

const RUNS = 2000

/** Who claims: what they offer overlaps, and together they can take everything below. */
const OFFERS: Partial<NewRunner>[] = [
  { hostname: 'alpha', tags: ['a', 'b', 'c'] },
  { hostname: 'alpha', tags: ['a'] },
  { hostname: 'beta', tags: ['b', 'c'] },
  { hostname: 'beta', tags: ['a', 'c'], require_matching_tags: true },
]
const DEMANDS = [
  null,
  { hostname: 'alpha', tags: [] },
  { hostname: 'beta', tags: [] },
  { tags: ['a'] },
  { tags: ['c'] },
  { hostname: 'beta', tags: ['c'] },
  { hostname: 'alpha', tags: ['a', 'b'] },
]

const someRuns = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    aNewRun({ demands: DEMANDS[i % DEMANDS.length] ?? null, priority: i % 3 }),
  )

interface Order {
  order: 'go' | 'on' | 'last'
}
type Answer = { ready: true } | { claimed: string[] }

interface Claimer {
  runner: Runner
  process: Child<Order, Answer>
}

async function startClaimers({ fixture, register }: World): Promise<Claimer[]> {
  const { url } = fixture.opener
  const claimers: Claimer[] = []
  for (const offer of OFFERS) {
    const runner = await register(offer)
    const args = [url, runner.runner_id]
    const process = forkModule<Order, Answer>(new URL('./claimer.mjs', import.meta.url), args)
    claimers.push({ runner, process })
  }
  await allReady(claimers)
  return claimers
}

async function allReady(claimers: Claimer[]): Promise<void> {
  for (const { process } of claimers) expect(await process.next()).toEqual({ ready: true })
}

async function claimedBy({ process }: Claimer): Promise<string[]> {
  const answer = await process.next()
  return 'claimed' in answer ? answer.claimed : []
}

export function describeConcurrency(setup: Setup): void {
  describe('several processes claim from one database', () => {
    it('each run goes to one of them, in order, while others are added', async () => {
      const world = await setup()
      const { runs, clock } = world
      const claimers = await startClaimers(world)
      await runs.addMany(someRuns(RUNS / 2), clock.now())
      for (const { process } of claimers) process.send({ order: 'go' })
      await allReady(claimers)
      for (const { process } of claimers) process.send({ order: 'on' })
      for (let added = 0; added < RUNS / 2; added += 50) {
        await runs.addMany(someRuns(50), clock.advance(1))
      }
      for (const { process } of claimers) process.send({ order: 'last' })
      const claimed = await Promise.all(claimers.map(claimedBy))

      expect(claimed.flat()).toHaveLength(RUNS)
      expect(new Set(claimed.flat()).size).toBe(RUNS)
      // A claim by nobody else, a second attempt, a run left over would all show here.
      const all = new Map((await everyRun(world)).map((run) => [run.run_id, run]))
      for (const [i, { runner }] of claimers.entries()) {
        const own = (claimed[i] ?? []).flatMap((run_id) => all.get(run_id) ?? [])
        expect(own.length).toBeGreaterThan(0)
        for (const { runner_id, status, attempt, demands } of own) {
          const { runner_id: mine } = runner
          expect({ runner_id, status, attempt }).toEqual({
            runner_id: mine,
            status: 'completed',
            attempt: 1,
          })
          expect(satisfies(runner, demands)).toBe(true)
        }
        // Of one priority, whatever is claimed later is younger: the older was there to be claimed.
        for (const priority of [0, 1, 2]) {
          const ages = own.filter((run) => run.priority === priority).map((run) => run.created_at)
          expect(ages).toEqual([...ages].sort())
        }
      }
    })
  })
}

async function everyRun({ runs }: World): Promise<Run[]> {
  const all: Run[] = []
  let cursor: string | undefined
  do {
    const page = await runs.list({ limit: 1000, cursor })
    all.push(...page.runs)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return all
}
