import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Ledger, type RunRecord } from '../../src/load/ledger.ts'
import { aPlannedRun } from './evidence.ts'

let ledger: Ledger
let records: RunRecord[]

beforeEach(() => {
  ledger = new Ledger('mine')
  records = ledger.plan('arrivals', [aPlannedRun(), aPlannedRun()])
})

/** Accepts all runs of the ledger. */
function acceptAll(): void {
  for (const record of records) ledger.accept(record, `run_${record.index}`, 0)
}

const drained = (signal = new AbortController().signal, stallMs = 60_000) =>
  ledger.drained({ stallMs, signal })

describe('prompts', () => {
  it('lead to the record, those of other loads to none', () => {
    const [, second] = records
    if (!second) throw new Error('nothing planned')
    expect(ledger.recordOf(ledger.promptOf(second))).toBe(second)
    const others = new Ledger('others').promptOf(second)
    for (const prompt of [others, 'hello', '', null, `${ledger.promptOf(second)}9`]) {
      expect(ledger.recordOf(prompt)).toBeUndefined()
    }
  })
})

describe('draining', () => {
  it('is done when all accepted runs are completed, in whatever order that is told', async () => {
    const [first, second] = records as [RunRecord, RunRecord]
    ledger.complete(first, 5)
    acceptAll()
    expect(ledger.open).toBe(1)
    const outcome = drained()
    ledger.complete(second, 7)
    ledger.complete(second, 9)
    expect(await outcome).toBe('drained')
    expect(ledger).toMatchObject({ completed: 2, lastCompletion: 7 })
  })

  it('has nothing to wait for when nothing was accepted, or only what nobody can take', async () => {
    expect(await drained()).toBe('drained')
    const [stuck] = ledger.plan('backlog', [aPlannedRun()])
    if (stuck) ledger.accept(stuck, 'run_9', 0)
    expect(await drained()).toBe('drained')
  })

  it('ends when it is told to', async () => {
    acceptAll()
    const stop = new AbortController()
    const outcome = drained(stop.signal)
    stop.abort()
    expect(await outcome).toBe('stopped')
    expect(await drained(stop.signal)).toBe('stopped')
  })

  it('ends when nothing moves any more, but not before', async () => {
    vi.useFakeTimers()
    try {
      acceptAll()
      const outcome = drained(undefined, 1000)
      const ended = vi.fn()
      void outcome.then(ended)
      await vi.advanceTimersByTimeAsync(500)
      if (records[0]) ledger.complete(records[0], 1)
      await vi.advanceTimersByTimeAsync(1000)
      expect(ended).not.toHaveBeenCalled()
      await vi.advanceTimersByTimeAsync(1000)
      expect(await outcome).toBe('stalled')
    } finally {
      vi.useRealTimers()
    }
  })
})
