import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClaimRecord, RunRecord } from '../../src/load/ledger.ts'
import { judgeOrder } from '../../src/load/order.ts'
import type { PlannedRun } from '../../src/load/scenario.ts'
import { aClaim, aPlannedRun, aRecord, someCapabilities } from './evidence.ts'

const capabilities = new Map([
  ['lnch_a', someCapabilities()],
  ['lnch_gpu', someCapabilities({ tags: ['gpu'] })],
])

/** Which run passed over which, by index. */
function passedOver(records: RunRecord[], claimsLostSince: number | null = null) {
  const judgement = judgeOrder({ records, capabilities, claimsLostSince })
  return judgement.passedOver.map(({ record, by }) => [by.index, record.index])
}

/** The run of this index is added at `index * 100`; its claim takes 10 ms from `claimed_at` on. */
function claimedAt(
  index: number,
  claimed_at: number,
  planned: Partial<PlannedRun> = {},
  facts: Partial<ClaimRecord> = {},
): RunRecord {
  const claim = aClaim(index, { claimed_at, answered_at: claimed_at + 10, ...facts })
  return aRecord(index, { planned: aPlannedRun(planned), claims: [claim] })
}

describe('the order of claims', () => {
  it('holds where the oldest goes first', () => {
    expect(passedOver([claimedAt(0, 1000), claimedAt(1, 1100), claimedAt(2, 1200)])).toEqual([])
  })

  it('is broken by a run that goes before an older one', () => {
    expect(passedOver([claimedAt(0, 1100), claimedAt(1, 1000)])).toEqual([[1, 0]])
  })

  it('is broken by each run that goes too early', () => {
    const records = [claimedAt(0, 3000), claimedAt(1, 2000), claimedAt(2, 1000)]
    expect(passedOver(records)).toEqual([
      [1, 0],
      [2, 0],
    ])
  })

  it('is unknown where the claims overlap', () => {
    expect(passedOver([claimedAt(0, 1010), claimedAt(1, 1000)])).toEqual([])
    expect(passedOver([claimedAt(0, 1011), claimedAt(1, 1000)])).toEqual([[1, 0]])
  })

  it('is unknown where the adds overlap', () => {
    const younger = claimedAt(1, 1000)
    const answered = (accepted_at: number) => ({ ...claimedAt(0, 1100), accepted_at })
    expect(passedOver([answered(100), younger])).toEqual([])
    expect(passedOver([answered(99), younger])).toEqual([[1, 0]])
  })

  it('puts priority before age', () => {
    const urgent = { priority: 1 }
    expect(passedOver([claimedAt(0, 1100), claimedAt(1, 1000, urgent)])).toEqual([])
    expect(passedOver([claimedAt(0, 1000), claimedAt(1, 1100, urgent)])).toEqual([[0, 1]])
  })

  it('does not expect of an urgent run that it was there in time', () => {
    const late = claimedAt(9, 1100, { priority: 1 })
    expect(passedOver([claimedAt(0, 905), late])).toEqual([])
  })

  it('looks only at what the runner could have taken', () => {
    const demands = { tags: ['gpu'] }
    const older = claimedAt(0, 1100, { demands }, { runner_id: 'lnch_gpu' })
    expect(passedOver([older, claimedAt(1, 1000)])).toEqual([])
    expect(passedOver([older, claimedAt(1, 1000, {}, { runner_id: 'lnch_gpu' })])).toEqual([[1, 0]])
  })

  it('is not judged by runs that were never claimed, nor by second claims', () => {
    const [first, second] = [claimedAt(0, 990), claimedAt(0, 2000)]
    const twice = { ...first, claims: [...first.claims, ...second.claims] }
    expect(passedOver([aRecord(0, { claims: [] }), claimedAt(1, 1000)])).toEqual([])
    expect(passedOver([twice, claimedAt(1, 1500)])).toEqual([])
  })

  it('is not judged from the moment on when a claim was lost', () => {
    const records = [claimedAt(0, 1100), claimedAt(1, 1000)]
    expect(passedOver(records, 1010)).toEqual([])
    expect(passedOver(records, 1011)).toEqual([[1, 0]])
    expect(judgeOrder({ records, capabilities, claimsLostSince: 1011 }).judged).toBe(1)
  })
})

/** A request that takes effect at `at`, sent and answered somewhat before and after. */
interface Request {
  at: number
  before: number
  after: number
}
type Add = Request & Pick<PlannedRun, 'priority' | 'demands'>
type Attempt = Request & { runner_id: string }

const gpu = { tags: ['gpu'] }
const delay = fc.integer({ min: 0, max: 40 })
const someAdds: fc.Arbitrary<Add> = fc.record({
  at: fc.integer({ min: 0, max: 400 }),
  before: delay,
  after: delay,
  priority: fc.integer({ min: 0, max: 1 }),
  demands: fc.constantFrom(null, gpu),
})
const someAttempts: fc.Arbitrary<Attempt> = fc.record({
  at: fc.integer({ min: 0, max: 800 }),
  before: delay,
  after: delay,
  runner_id: fc.constantFrom('lnch_a', 'lnch_gpu'),
})

/** A queue with requests that overlap as they like; of two runs, `order` says which goes first. */
function simulate(
  adds: Add[],
  attempts: Attempt[],
  order: (a: RunRecord, b: RunRecord) => number,
): RunRecord[] {
  const runs = adds.map(({ at, before, after, priority, demands }, index) => ({
    at,
    created_at: at - before,
    record: aRecord(index, {
      planned: aPlannedRun({ priority, demands }),
      accepted_at: at + after,
      asked: at - before,
      claims: [],
    }),
  }))
  for (const { at, before, after, runner_id } of attempts.toSorted((a, b) => a.at - b.at)) {
    const [best] = runs
      .filter((run) => run.at <= at && run.record.claims.length === 0)
      .filter(({ record }) => record.planned.demands === null || runner_id === 'lnch_gpu')
      .toSorted((a, b) => order(a.record, b.record))
    if (!best) continue
    const { record, created_at } = best
    const times = { created_at, claimed_at: at - before, answered_at: at + after }
    record.claims.push(aClaim(record.index, { ...times, runner_id }))
  }
  return runs.map(({ record }) => record)
}

const oldestFirst = (a: RunRecord, b: RunRecord) =>
  b.planned.priority - a.planned.priority || a.asked - b.asked

describe('the judgement', () => {
  it('never blames a right queue, however its requests overlap', () => {
    fc.assert(
      fc.property(
        fc.array(someAdds, { maxLength: 30 }),
        fc.array(someAttempts, { maxLength: 40 }),
        (adds, attempts) => {
          expect(passedOver(simulate(adds, attempts, oldestFirst))).toEqual([])
        },
      ),
      { numRuns: 300 },
    )
  })

  it('does blame a queue that hands out the newest first', () => {
    const adds = Array.from({ length: 20 }, (_, index) => ({
      at: index * 100,
      before: 5,
      after: 5,
      priority: 0,
      demands: null,
    }))
    const attempts = adds.map((add) => ({ ...add, at: add.at + 3000, runner_id: 'lnch_a' }))
    const records = simulate(adds, attempts, (a, b) => -oldestFirst(a, b))
    expect(passedOver(records)).toHaveLength(19)
  })
})
