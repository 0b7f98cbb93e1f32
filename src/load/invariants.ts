/** What must hold after any load. Pure: the harness's own record and the server's rows, compared. */
import { type Capabilities, satisfies } from '../queue/demands.ts'
import type { ClaimRecord, RunRecord } from './ledger.ts'
import { judgeOrder } from './order.ts'
import type { Row } from './read-back.ts'

export interface Evidence {
  records: readonly RunRecord[]
  rows: readonly Row[]
  /** What each runner offers, by its id. */
  capabilities: ReadonlyMap<string, Capabilities>
  /** Since when answers to claims were lost, by Date.now(); null: none was. */
  claimsLostSince: number | null
  /** The load was ended before all was done, so runs may be anywhere on their way. */
  cutShort: boolean
}

export interface Invariant {
  name: string
  /** As a sentence. */
  claim: string
  /** How many runs or claims were looked at. */
  checked: number
  broken: number
  /** Some of the faults, in words. */
  examples: string[]
}

const EXAMPLES_MAX = 5

export function checkInvariants(evidence: Evidence): Invariant[] {
  return [thereOnce, legallyEnded, claimedOnce, takeableByRunner, orderKept].map((check) =>
    check(evidence),
  )
}

export function invariant(
  name: string,
  claim: string,
  checked: number,
  faults: string[],
): Invariant {
  return { name, claim, checked, broken: faults.length, examples: faults.slice(0, EXAMPLES_MAX) }
}

/** An acknowledged add is one run, no more and no less. */
function thereOnce({ records, rows }: Evidence): Invariant {
  const idsOf = new Map<number, string[]>()
  for (const { index, run_id } of rows) {
    const ids = idsOf.get(index)
    if (ids) ids.push(run_id)
    else idsOf.set(index, [run_id])
  }
  const faults = records.flatMap(({ index, run_id }) => {
    const ids = idsOf.get(index) ?? []
    if (ids.length > 1) return [`run ${index} is listed ${ids.length} times: ${ids.join(', ')}`]
    if (run_id === null || ids[0] === run_id) return []
    return [`${run_id} was accepted, but ${ids[0] ?? 'nothing'} is listed in its place`]
  })
  const accepted = records.filter(({ run_id }) => run_id !== null)
  return invariant('there_once', 'every accepted run is there once', accepted.length, faults)
}

/** Completed where a runner could take it, pending where none could; as its runner reported. */
function legallyEnded({ records, rows, cutShort }: Evidence): Invariant {
  const faults = rows.flatMap((row) => {
    const record = records[row.index]
    const fault = record && wrongEnd(record, row, cutShort)
    return fault ? [`${row.run_id} ${fault}`] : []
  })
  const claim = 'every run ended as it had to, and as its runner reported'
  return invariant('legally_ended', claim, rows.length, faults)
}

function wrongEnd(record: RunRecord, row: Row, cutShort: boolean): string | null {
  const { phase, claims, run_id } = record
  const { status, runner_id } = row
  if (phase === 'backlog')
    return status === 'pending' ? null : `is ${status}, but no runner fits it`
  const reported = claims.find(({ completed }) => completed === 'acknowledged')
  if (reported && status !== 'completed') {
    return `is ${status}, but its completion was acknowledged`
  }
  if (reported && runner_id !== reported.runner_id) {
    return `is completed by ${runner_id}, but ${reported.runner_id} reported it`
  }
  if (status === 'completed') {
    const said = claims.some(
      ({ completed }) => completed === 'acknowledged' || completed === 'lost',
    )
    return said ? null : 'is completed, but no runner reported it'
  }
  // Nobody waited for a run whose add was not acknowledged.
  const mayBeOnItsWay = cutShort || run_id === null
  const onItsWay = status === 'pending' || status === 'claimed' || status === 'running'
  return mayBeOnItsWay && onItsWay ? null : `is ${status} at the end`
}

/**
 * Each attempt is one claim with one token, and no run needs a second attempt here. The one excuse:
 * a report of the start that was lost, since what was not started goes back to the queue. (So a
 * server's RUN_CLAIM_TIMEOUT must be longer than a report may take; by default it is.)
 */
function claimedOnce({ records }: Evidence): Invariant {
  const tokens = new Map<string, ClaimRecord>()
  const faults: string[] = []
  let checked = 0
  for (const { claims } of records) {
    for (const [at, claim] of claims.entries()) {
      checked += 1
      const { run_id, runner_id, claim_token } = claim
      const same = tokens.get(claim_token)
      tokens.set(claim_token, claim)
      const before = claims[at - 1]
      if (same) {
        faults.push(
          `${run_id} was handed to ${runner_id} with the token of ${same.run_id} at ${same.runner_id}`,
        )
      } else if (before && before.started !== 'lost') {
        faults.push(`${run_id} was claimed by ${before.runner_id} and again by ${runner_id}`)
      }
    }
  }
  return invariant('claimed_once', 'no run was claimed twice', checked, faults)
}

function takeableByRunner({ records, capabilities }: Evidence): Invariant {
  const claims = records.flatMap(({ planned, claims }) =>
    claims.map(({ run_id, runner_id }) => ({ run_id, runner_id, demands: planned.demands })),
  )
  const faults = claims.flatMap(({ run_id, runner_id, demands }) => {
    const offered = capabilities.get(runner_id)
    if (offered && satisfies(offered, demands)) return []
    return [`${run_id} demands ${JSON.stringify(demands)}, which ${runner_id} does not offer`]
  })
  const claim = 'every run went to a runner that meets its demands'
  return invariant('demands_met', claim, claims.length, faults)
}

function orderKept(evidence: Evidence): Invariant {
  const { judged, passedOver } = judgeOrder(evidence)
  const faults = passedOver.map(({ record, by }) => {
    const [claim, claimBy] = [record.claims[0], by.claims[0]]
    const late = (claim?.claimed_at ?? 0) - (claimBy?.claimed_at ?? 0)
    return `${claim?.run_id} was passed over by ${claimBy?.run_id} and claimed ${late} ms after it`
  })
  const claim = 'the highest priority went first, and in it the oldest'
  return invariant('order_kept', claim, judged, faults)
}
