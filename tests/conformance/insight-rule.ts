/** What explanations say and what claims do are equal, for any runners and any runs. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalDemands, conditionsOf, satisfies } from '../../src/queue/demands.ts'
import { MATCHING_RUNNERS_LIMIT } from '../../src/queue/insight.ts'
import type { Run } from '../../src/queue/run.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun, aNewRunner } from '../support/factories.ts'
import { example, runnersExample } from './claim-examples.ts'
import { TERMS } from './insight.ts'
import type { Setup, World } from './world.ts'

type Example = typeof example extends fc.Arbitrary<infer T> ? T : never
type RunnersExample = typeof runnersExample extends fc.Arbitrary<infer T> ? T : never

/** Explains, then claims, until there is nothing more. */
async function explainAndClaim(world: World, { runner, pending }: Example): Promise<void> {
  const { runs, runners, insight, sessions, clock, claim, register } = world
  const registered = await register(runner)
  const { runner_id } = registered
  const waiting: Run[] = []
  for (const { demands, priority, age } of pending) {
    const { run } = await runs.add(aNewRun({ demands, priority }), clock.ago(age))
    waiting.push(run)
  }
  const added = [...waiting]
  const inOrder = added
    .map((run, place) => ({ run, place }))
    .sort(
      (a, b) =>
        b.run.priority - a.run.priority ||
        (a.run.created_at < b.run.created_at ? -1 : 1) *
          Number(a.run.created_at !== b.run.created_at) ||
        a.place - b.place,
    )
    .map(({ run }) => run)
  for (const [place, { run_id, demands }] of inOrder.entries()) {
    const told = await insight.explainRun(run_id, TERMS, clock.now())
    expect(told.ahead).toEqual({ count: place, at_least: false })
    expect(told.runners).toMatchObject([{ runner_id, satisfies: satisfies(runner, demands) }])
    expect(told.matching_runners?.count).toBe(satisfies(runner, demands) ? 1 : 0)
  }
  for (;;) {
    const told = await insight.explainRunner(runner_id, TERMS, clock.now())
    const left = waiting.filter(({ demands }) => !satisfies(runner, demands))
    const different = new Set(left.map(({ demands }) => JSON.stringify(demands)))
    expect(told.unmet.length + told.unmet_left_out.count).toBe(different.size)
    const [claimed] = await claim(registered)
    expect(told.next_run_id).toBe(claimed?.run_id ?? null)
    if (!claimed) break
    waiting.splice(
      waiting.findIndex(({ run_id }) => run_id === claimed.run_id),
      1,
    )
  }
  await runners.remove(runner_id, clock.now())
  for (const { session_id } of added) await sessions.delete(session_id)
}

/** One run; explains, and has each of the runners in turn claim it. */
async function addAndClaim(world: World, { demands, runners: given }: RunnersExample) {
  const { runs, runners, insight, sessions, clock, claim } = world
  const registered = []
  for (const { offers, state } of given) {
    const at = state === 'stale' ? clock.ago(TERMS.stale_seconds) : clock.now()
    const runner = await runners.register(aNewRunner(offers), at, clock.ago(1000))
    if (state === 'deregistered') await runners.deregister(runner.runner_id, clock.now())
    registered.push({ ...runner, state })
  }
  const able = registered.filter(
    (runner) => runner.state === 'online' && satisfies(runner, canonicalDemands(demands)),
  )
  const bounds = { max_pending: null, stale_before: clock.ago(TERMS.stale_seconds) }
  const wanted = aNewRun({ demands })
  const strict = { ...wanted, reject_if_unmatchable: true }
  if (able.length === 0) {
    await refusal(runs.add(strict, clock.now(), bounds), 'unmatchable')
    expect(await runs.get(wanted.run_id)).toBeNull()
    expect(await sessions.get(wanted.session_id)).toBeNull()
  }
  const { run, matching_runners } = await runs.add(
    able.length === 0 ? wanted : strict,
    clock.now(),
    bounds,
  )
  expect(matching_runners).toBe(Math.min(able.length, MATCHING_RUNNERS_LIMIT))
  const told = await insight.explainRun(run.run_id, TERMS, clock.now())
  expect(told.matching_runners).toEqual({ count: able.length, at_least: false })
  expect(told.runners.length + told.runners_left_out.count).toBe(given.length)
  for (const match of told.runners) {
    const [claimed] = await claim(match)
    const isAble = match.satisfies && match.state !== 'deregistered'
    expect({ ...match, claimed: claimed !== undefined }).toEqual({ ...match, claimed: isAble })
    expect(match.state).toBe(registered.find((each) => each.runner_id === match.runner_id)?.state)
    if (claimed) await runs.release(claimed.run_id, claimed.claim_token, clock.now())
  }
  for (const { runner_id } of registered) await runners.remove(runner_id, clock.now())
  await sessions.delete(run.session_id)
}

export function describeInsightRule(setup: Setup): void {
  describe('explanations and claims', () => {
    it('are equal for any runner and any pending runs', async () => {
      const world = await setup()
      await fc.assert(
        fc.asyncProperty(example, (given) => explainAndClaim(world, given)),
        { numRuns: 40 },
      )
    })

    it('are equal for any run and any runners', async () => {
      const world = await setup()
      await fc.assert(
        fc.asyncProperty(runnersExample, (given) => addAndClaim(world, given)),
        { numRuns: 60 },
      )
    })

    it('take the one rule apart as it is', () => {
      fc.assert(
        fc.property(example, ({ runner, pending }) => {
          for (const { demands } of pending) {
            const wanted = canonicalDemands(demands)
            const met = conditionsOf(runner, wanted).every((condition) => condition.met)
            expect(met).toBe(satisfies(runner, wanted))
          }
        }),
      )
    })
  })
}
