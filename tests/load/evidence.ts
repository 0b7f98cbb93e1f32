/** What a harness might have seen: by default a load in which all went right. */

import type { Evidence } from '../../src/load/invariants.ts'
import type { ClaimRecord, RunRecord } from '../../src/load/ledger.ts'
import type { Row } from '../../src/load/read-back.ts'
import type { PlannedRun } from '../../src/load/scenario.ts'
import type { Capabilities } from '../../src/queue/demands.ts'

export const aPlannedRun = (facts: Partial<PlannedRun> = {}): PlannedRun => ({
  due_ms: 0,
  demands: null,
  priority: 0,
  ...facts,
})

/** The run of this index is added at `index * 100` and claimed a second later. */
export function aClaim(index: number, facts: Partial<ClaimRecord> = {}): ClaimRecord {
  return {
    run_id: `run_${index}`,
    runner_id: 'lnch_a',
    claim_token: `token ${index}`,
    created_at: index * 100,
    claimed_at: 1000 + index * 100,
    answered_at: 1000 + index * 100 + 10,
    started: 'acknowledged',
    completed: 'acknowledged',
    ...facts,
  }
}

export function aRecord(index: number, facts: Partial<RunRecord> = {}): RunRecord {
  return {
    index,
    phase: 'arrivals',
    planned: aPlannedRun(),
    asked: 0,
    run_id: `run_${index}`,
    accepted_at: index * 100 + 10,
    claims: [aClaim(index)],
    done: true,
    ...facts,
  }
}

export const aRow = (index: number, facts: Partial<Row> = {}): Row => ({
  index,
  run_id: `run_${index}`,
  status: 'completed',
  runner_id: 'lnch_a',
  ...facts,
})

export const someCapabilities = (facts: Partial<Capabilities> = {}): Capabilities => ({
  hostname: 'alpha',
  project_dir: '/load/0',
  executor_type: null,
  executor_profile: 'load',
  tags: [],
  require_matching_tags: false,
  ...facts,
})

export const someEvidence = (facts: Partial<Evidence> = {}): Evidence => ({
  records: [aRecord(0), aRecord(1), aRecord(2)],
  rows: [aRow(2), aRow(1), aRow(0)],
  capabilities: new Map([['lnch_a', someCapabilities()]]),
  claimsLostSince: null,
  cutShort: false,
  ...facts,
})
