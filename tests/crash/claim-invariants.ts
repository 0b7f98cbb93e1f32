/** What must hold of claims, by the ledger: who held what, when, and with which token. */
import { type Invariant, invariant } from '../../src/load/invariants.ts'
import {
  acknowledgedReport,
  aliveThroughout,
  type Evidence,
  grouped,
  type Holding,
  holdingsOf,
  isAcknowledged,
  reported,
} from './evidence.ts'
import type { ClaimNote } from './notes.ts'
import { SECONDS } from './servers.ts'

const CLAIM_TIMEOUT_MS = SECONDS.claimTimeout * 1000

/** Each holding of a run with the one that came after it. */
function* successions(evidence: Evidence): Generator<[Holding, Holding]> {
  for (const holdings of holdingsOf(evidence).values()) {
    for (const [at, after] of holdings.slice(1).entries()) {
      const before = holdings[at]
      if (before) yield [before, after]
    }
  }
}

export function heldOnce(evidence: Evidence): Invariant {
  const { ledger } = evidence
  const faults: string[] = []
  let checked = 0
  for (const [before, after] of successions(evidence)) {
    checked += 1
    if (wasOver(evidence, before, after)) continue
    faults.push(
      `${before.run_id} was claimed by ${after.runner_id} (attempt ${after.attempt}) while ${before.runner_id} held it (attempt ${before.attempt})`,
    )
  }
  for (const holdings of holdingsOf({ ledger }).values()) {
    const completed = holdings.filter((holding) => acknowledgedReport(holding, 'completed'))
    if (completed.length > 1) faults.push(`${completed[0]?.run_id} was completed by two claims`)
  }
  return invariant('held_once', 'no run was in two hands', checked, faults)
}

/** Something ended the earlier holding, or may have. */
function wasOver({ ledger }: Evidence, before: Holding, after: Holding): boolean {
  const failed = reported(before, 'failed').some(({ outcome }) => outcome !== 'refused')
  if (failed) return true
  const started = acknowledgedReport(before, 'started')
  if (!started) {
    // What was not started in time goes back; what was claimed without a key, with its connection.
    if (before.claim_key === null) return true
    if (after.answered_at >= before.claimed_at + CLAIM_TIMEOUT_MS) return true
  }
  const since = started?.sent ?? before.claimed_at
  return !aliveThroughout(ledger, before.runner_id, since, after.answered_at)
}

/** A token is worth nothing once another claim has the run. */
export function tokensFence(evidence: Evidence): Invariant {
  const faults: string[] = []
  let checked = 0
  for (const [before, after] of successions(evidence)) {
    // The time of a claim is that of its request: one that waited may have been the later one.
    if (before.answered_at > after.claimed_at) continue
    for (const report of before.reports) {
      if (report.sent <= after.answered_at) continue
      checked += 1
      if (!isAcknowledged(report)) continue
      faults.push(
        `${report.run_id}: '${report.what}' of ${before.runner_id} was taken after ${after.runner_id} had claimed it anew`,
      )
    }
  }
  return invariant('tokens_fence', 'no report with an outdated token was taken', checked, faults)
}

export function claimsRepeat({ ledger, rows }: Evidence): Invariant {
  const keyed = ledger.claims.filter(
    (claim) => claim.claim_key !== null && isAcknowledged(claim) && claim.stop_runs.length === 0,
  )
  const completedAt = new Map(rows.map((row) => [row.run_id, Date.parse(row.completed_at ?? '')]))
  const faults: string[] = []
  let checked = 0
  for (const [key, [first, ...again]] of grouped(keyed, ({ claim_key }) => claim_key)) {
    if (!first || first.runs.length === 0) continue
    for (const claim of again) {
      if (!mustRepeat(first, claim)) continue
      checked += 1
      const [one, other] = [tokensOf(first), tokensOf(claim)]
      const added = [...other].filter((token) => !one.has(token))
      const missing = first.runs.filter(
        ({ run_id, claim_token }) =>
          !other.has(claim_token) && !((completedAt.get(run_id) ?? 0) <= (claim.answered ?? 0)),
      )
      if (added.length === 0 && missing.length === 0) continue
      faults.push(
        `claim ${key} of ${first.runner_id} gave ${one.size} runs, then ${added.length} others and not ${missing.length} of them`,
      )
    }
  }
  const claim = 'a claim repeated with its key brings the same runs and tokens'
  return invariant('claims_repeat', claim, checked, faults)

  /** Nothing can have ended what the first brought. */
  function mustRepeat(first: ClaimNote, { answered }: ClaimNote): boolean {
    const until = answered ?? 0
    const since = Math.min(...first.runs.map(({ claimed_at }) => claimed_at))
    return (
      until < since + CLAIM_TIMEOUT_MS && aliveThroughout(ledger, first.runner_id, since, until)
    )
  }
}

const tokensOf = ({ runs }: ClaimNote) => new Set(runs.map(({ claim_token }) => claim_token))

export function attemptsBounded(evidence: Evidence): Invariant {
  const faults = evidence.rows.flatMap(({ run_id, attempt, max_attempts }) =>
    attempt <= max_attempts ? [] : [`${run_id} is at attempt ${attempt} of ${max_attempts}`],
  )
  for (const [run_id, holdings] of holdingsOf(evidence)) {
    const started = holdings.filter((holding) => acknowledgedReport(holding, 'started'))
    const allowed = holdings[0]?.max_attempts ?? 0
    if (started.length > allowed) {
      faults.push(`${run_id} was started ${started.length} times, but has ${allowed} attempts`)
    }
  }
  const claim = 'no run has more attempts than it may'
  return invariant('attempts_bounded', claim, evidence.rows.length, faults)
}

/** Where a run was to wait, nobody has it before. */
export function notBefore(evidence: Evidence): Invariant {
  // A retry copies what its run says, but does not wait.
  const retried = new Set(evidence.ledger.retries.map(({ prompt }) => prompt))
  const holdings = holdingsOf(evidence)
  const waiting = evidence.rows.filter((row) => row.delay_ms > 0 && !retried.has(row.prompt))
  const faults = waiting.flatMap(({ run_id, created_at, delay_ms }) => {
    const [first] = holdings.get(run_id) ?? []
    const early = Date.parse(created_at) + delay_ms - (first?.answered_at ?? Number.NaN)
    return early > 0 ? [`${run_id} was claimed ${early} ms before its time`] : []
  })
  return invariant('not_before', 'no run was claimed before its time', waiting.length, faults)
}

/** The first poll of a runner after a stop was acknowledged brings it, if none before did. */
export function stopsHeard({ ledger, rows }: Evidence): Invariant {
  const byId = new Map(rows.map((row) => [row.run_id, row]))
  const polls = grouped(ledger.claims, ({ runner_id }) => runner_id)
  const requested = ledger.stops.filter((stop) => isAcknowledged(stop) && stop.says === 'stopping')
  const faults: string[] = []
  let checked = 0
  for (const [run_id, [first]] of grouped(requested, (stop) => stop.run_id)) {
    const row = byId.get(run_id)
    if (!first || !row || row.runner_id === null) continue
    const asked = polls.get(row.runner_id) ?? []
    const next = asked.find((poll) => isAcknowledged(poll) && poll.sent > (first.answered ?? 0))
    if (!next) continue
    checked += 1
    const until = next.answered ?? 0
    const before = asked.filter(({ sent }) => sent <= next.sent)
    const told = before.some(({ stop_runs }) => stop_runs.includes(run_id))
    // Told in an answer that was lost, it is told again only after a while; ended, not at all.
    const mayBeLost = before.some(
      (poll) =>
        poll.outcome === 'lost' && (poll.answered ?? Number.POSITIVE_INFINITY) >= first.sent,
    )
    const ended = row.completed_at !== null && Date.parse(row.completed_at) <= until
    if (told || mayBeLost || ended) continue
    faults.push(`${run_id} is to stop, but ${row.runner_id} was not told when it asked next`)
  }
  return invariant('stops_heard', 'every stop reached its runner', checked, faults)
}
