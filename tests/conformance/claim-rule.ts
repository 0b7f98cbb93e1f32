/**
 * The claim of an engine and the one rule, `satisfies`, are equal: of any pending runs, any runner
 * gets exactly those that the rule allows, in claim order.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Capabilities,
  canonicalDemands,
  type Demands,
  satisfies,
} from '../../src/queue/demands.ts'
import type { NewRun } from '../../src/queue/run.ts'
import { aNewRun, aNewRunner, someTokens } from '../support/factories.ts'
import { example } from './claim-examples.ts'
import type { Setup, World } from './world.ts'

interface Pending {
  run: NewRun & { demands: Demands | null }
  /** Seconds before now. */
  age: number
}
type Rule = typeof satisfies
type Order = (a: Pending, b: Pending) => number

const claimOrder: Order = (a, b) => (b.run.priority ?? 0) - (a.run.priority ?? 0) || b.age - a.age

type Example = typeof example extends fc.Arbitrary<infer T> ? T : never

/** What the runner gets, claiming until there is no more. */
async function claimAll(
  { runs, runners, sessions, clock }: World,
  capabilities: Capabilities,
  pending: Pending[],
  limit: number,
): Promise<string[]> {
  const { runner_id } = await runners.register(aNewRunner(capabilities), clock.now(), clock.ago(1))
  for (const age of new Set(pending.map((one) => one.age))) {
    const equallyOld = pending.filter((one) => one.age === age)
    await runs.addMany(
      equallyOld.map(({ run }) => run),
      clock.ago(age),
    )
  }
  const got: string[] = []
  for (;;) {
    const claim = { runner_id, limit, claim_key: null, tokens: someTokens(limit) }
    const claimed = await runs.claim(claim, clock.now())
    got.push(...claimed.map(({ run_id }) => run_id))
    if (claimed.length === 0) break
  }
  await Promise.all(pending.map(({ run }) => sessions.delete(run.session_id)))
  return got
}

async function holds(world: World, given: Example, rule: Rule, order: Order): Promise<boolean> {
  const pending = given.pending.map(({ age, priority, demands }) => ({
    run: { ...aNewRun({ priority }), demands: canonicalDemands(demands) },
    age,
  }))
  // sort() is stable: what is equal stays in the order of insertion.
  const expected = pending
    .filter(({ run }) => rule(given.runner, run.demands))
    .sort(order)
    .map(({ run }) => run.run_id)
  const got = await claimAll(world, given.runner, pending, given.limit)
  return got.length === expected.length && got.every((run_id, i) => run_id === expected[i])
}

/** Rules that are nearly right: the property must tell each from the claim, else it proves nothing. */
const WRONG: [string, Rule, Order][] = [
  [
    'a rule that does not compare executor types',
    (runner, demands) => {
      const { executor_type, ...rest } = demands ?? { tags: [] }
      return satisfies(runner, executor_type === undefined ? demands : rest)
    },
    claimOrder,
  ],
  [
    'a rule that takes one common tag for enough',
    (runner, demands) => {
      const common = demands?.tags.filter((tag) => runner.tags.includes(tag)) ?? []
      return satisfies(
        runner,
        common.length > 0 && demands ? { ...demands, tags: common } : demands,
      )
    },
    claimOrder,
  ],
  [
    'a rule that forgets require_matching_tags',
    (runner, demands) => satisfies({ ...runner, require_matching_tags: false }, demands),
    claimOrder,
  ],
  [
    'a rule that takes a prefix for the tag',
    (runner, demands) => {
      const tags = demands?.tags.filter((tag) => !runner.tags.some((own) => own.startsWith(tag)))
      return satisfies(runner, demands) || (tags?.length === 0 && satisfies(runner, null))
    },
    claimOrder,
  ],
  ['an order that forgets priorities', satisfies, (a, b) => b.age - a.age],
  [
    'an order that takes the newest first',
    satisfies,
    (a, b) => (b.run.priority ?? 0) - (a.run.priority ?? 0) || a.age - b.age,
  ],
]

export function describeClaimRule(setup: Setup): void {
  describe('claim and satisfies()', () => {
    it('are equal for any runner and any pending runs', async () => {
      const world = await setup()
      await fc.assert(
        fc.asyncProperty(example, (given) => holds(world, given, satisfies, claimOrder)),
        { numRuns: 600 },
      )
    })

    it.each(WRONG)('are told from %s', async (_, rule, order) => {
      const world = await setup()
      const property = fc.asyncProperty(example, (given) => holds(world, given, rule, order))
      const { failed } = await fc.check(property, { numRuns: 600, endOnFailure: true })
      expect(failed).toBe(true)
    })
  })
}
