import { describe, expect, it } from 'vitest'
import { checkInvariants, type Evidence } from '../../src/load/invariants.ts'
import { aClaim, aPlannedRun, aRecord, aRow, someEvidence } from './evidence.ts'

/** The names of what is broken, each with its first example. */
function faultsOf(facts: Partial<Evidence> = {}): Record<string, string | undefined> {
  const broken = checkInvariants(someEvidence(facts)).filter((invariant) => invariant.broken > 0)
  return Object.fromEntries(broken.map(({ name, examples }) => [name, examples[0]]))
}

describe('a load in which all went right', () => {
  it('breaks nothing, and all was looked at', () => {
    const invariants = checkInvariants(someEvidence())
    expect(invariants.map(({ name, checked, broken }) => [name, checked, broken])).toEqual([
      ['there_once', 3, 0],
      ['legally_ended', 3, 0],
      ['claimed_once', 3, 0],
      ['demands_met', 3, 0],
      ['order_kept', 3, 0],
    ])
  })
})

describe('every accepted run is there once', () => {
  it('misses a lost run', () => {
    expect(faultsOf({ rows: [aRow(0), aRow(2)] })).toEqual({
      there_once: 'run_1 was accepted, but nothing is listed in its place',
    })
  })

  it('sees one add that became two runs', () => {
    const rows = [aRow(0), aRow(1), aRow(2), aRow(1, { run_id: 'run_x' })]
    expect(faultsOf({ rows })).toEqual({ there_once: 'run 1 is listed 2 times: run_1, run_x' })
  })

  it('sees a run under another id', () => {
    const rows = [aRow(0), aRow(1, { run_id: 'run_x' }), aRow(2)]
    expect(faultsOf({ rows })).toEqual({
      there_once: 'run_1 was accepted, but run_x is listed in its place',
    })
  })

  it('expects nothing of an add that was not acknowledged', () => {
    const records = [aRecord(0, { run_id: null, accepted_at: null, claims: [], done: false })]
    expect(faultsOf({ records, rows: [] })).toEqual({})
    expect(faultsOf({ records, rows: [aRow(0, { status: 'pending' })] })).toEqual({})
  })
})

describe('every run ended as it had to', () => {
  const withRow = (facts: Parameters<typeof aRow>[1]) => ({
    rows: [aRow(0), aRow(1), aRow(2, facts)],
  })

  it.each(['failed', 'stopped', 'stopping', 'running', 'claimed', 'pending'] as const)(
    'refuses %s after an acknowledged completion',
    (status) => {
      const legally_ended = `run_2 is ${status}, but its completion was acknowledged`
      expect(faultsOf(withRow({ status }))).toEqual({ legally_ended })
      expect(faultsOf({ ...withRow({ status }), cutShort: true })).toEqual({ legally_ended })
    },
  )

  it('refuses a completion by another runner than the one that reported it', () => {
    expect(faultsOf(withRow({ runner_id: 'lnch_b' }))).toEqual({
      legally_ended: 'run_2 is completed by lnch_b, but lnch_a reported it',
    })
  })

  it('refuses a completion that nobody reported, not one whose report may have arrived', () => {
    const reported = (completed: 'unsent' | 'lost') => ({
      records: [aRecord(0, { claims: [aClaim(0, { completed })], done: false })],
      rows: [aRow(0)],
    })
    expect(faultsOf(reported('unsent'))).toEqual({
      legally_ended: 'run_0 is completed, but no runner reported it',
    })
    expect(faultsOf(reported('lost'))).toEqual({})
  })

  it('lets runs be on their way only where the load was cut short', () => {
    const evidence = {
      records: [aRecord(0, { claims: [], done: false })],
      rows: [aRow(0, { status: 'pending', runner_id: null })],
    }
    expect(faultsOf(evidence)).toEqual({ legally_ended: 'run_0 is pending at the end' })
    expect(faultsOf({ ...evidence, cutShort: true })).toEqual({})
  })

  it('lets a run that no runner fits only be pending', () => {
    const records = [aRecord(0, { phase: 'backlog', claims: [], done: false })]
    expect(faultsOf({ records, rows: [aRow(0, { status: 'pending' })] })).toEqual({})
    expect(faultsOf({ records, rows: [aRow(0, { status: 'failed' })] })).toEqual({
      legally_ended: 'run_0 is failed, but no runner fits it',
    })
  })
})

describe('no run was claimed twice', () => {
  const twice = (first: Parameters<typeof aClaim>[1], second: Parameters<typeof aClaim>[1]) => ({
    records: [aRecord(0, { claims: [aClaim(0, first), aClaim(0, second)] })],
    rows: [aRow(0)],
  })
  const again = { runner_id: 'lnch_a', claim_token: 'another', started: 'refused' } as const

  it('sees a run that two runners have', () => {
    expect(faultsOf(twice({}, again))).toEqual({
      claimed_once: 'run_0 was claimed by lnch_a and again by lnch_a',
    })
  })

  it('sees a claim that is handed out a second time, token and all', () => {
    expect(faultsOf(twice({}, {}))).toEqual({
      claimed_once: 'run_0 was handed to lnch_a with the token of run_0 at lnch_a',
    })
  })

  it('sees one token for two runs', () => {
    const records = [aRecord(0), aRecord(1, { claims: [aClaim(1, { claim_token: 'token 0' })] })]
    expect(faultsOf({ records, rows: [aRow(0), aRow(1)] })).toEqual({
      claimed_once: 'run_1 was handed to lnch_a with the token of run_0 at lnch_a',
    })
  })

  it('excuses a run that went back because the report of its start was lost', () => {
    const lost = { started: 'lost', completed: 'unsent' } as const
    expect(faultsOf(twice(lost, { ...again, started: 'acknowledged' }))).toEqual({})
  })
})

describe('every run went to a runner that meets its demands', () => {
  it('sees a runner that offers too little', () => {
    const planned = aPlannedRun({ demands: { tags: ['gpu'] } })
    expect(faultsOf({ records: [aRecord(0, { planned })], rows: [aRow(0)] })).toEqual({
      demands_met: 'run_0 demands {"tags":["gpu"]}, which lnch_a does not offer',
    })
  })

  it('sees a runner that nobody registered', () => {
    const records = [aRecord(0, { claims: [aClaim(0, { runner_id: 'lnch_b' })] })]
    const rows = [aRow(0, { runner_id: 'lnch_b' })]
    expect(Object.keys(faultsOf({ records, rows }))).toEqual(['demands_met'])
  })
})

describe('faults', () => {
  it('are all counted, and some told', () => {
    const records = Array.from({ length: 20 }, (_, index) => aRecord(index))
    const [thereOnce] = checkInvariants(someEvidence({ records, rows: [] }))
    expect(thereOnce).toMatchObject({ checked: 20, broken: 20 })
    expect(thereOnce?.examples).toHaveLength(5)
  })
})
