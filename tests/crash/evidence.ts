/** The ledger and the database, side by side, and the ways in which invariants look at them. */

import type { Contents, Row } from './database.ts'
import type { Ledger } from './ledger.ts'
import type { Handed, ReportNote } from './notes.ts'
import { SECONDS } from './servers.ts'

export interface Evidence extends Contents {
  ledger: Ledger
  /** The events' ids tell the order of their commits. */
  ordered: boolean
  /** All is over: what has not ended will not. */
  final: boolean
}

/** A run in the hands of a runner, and what became of that. */
export interface Holding extends Handed {
  runner_id: string
  claim_key: string | null
  answered_at: number
  reports: ReportNote[]
}

export const isAcknowledged = ({ outcome }: { outcome: string }): boolean =>
  outcome === 'acknowledged'

export function rowsById({ rows }: Contents): Map<string, Row> {
  return new Map(rows.map((row) => [row.run_id, row]))
}

/** A run that the service made, to tell a parent of its children: one for each end, not each request. */
export const tellsParent = ({ prompt }: Pick<Row, 'prompt'>): boolean =>
  prompt.startsWith('<agent-callback ')

/** Each run's holdings, in the order of their claims; a claim that was answered twice is one. */
export function holdingsOf({ ledger }: Pick<Evidence, 'ledger'>): Map<string, Holding[]> {
  const byToken = new Map<string, Holding>()
  for (const { runner_id, claim_key, answered, runs } of ledger.claims) {
    for (const run of runs) {
      if (byToken.has(run.claim_token)) continue
      const answered_at = answered ?? 0
      byToken.set(run.claim_token, { ...run, runner_id, claim_key, answered_at, reports: [] })
    }
  }
  for (const report of ledger.reports) byToken.get(report.claim_token)?.reports.push(report)
  const byRun = grouped([...byToken.values()], ({ run_id }) => run_id)
  for (const holdings of byRun.values()) {
    holdings.sort((a, b) => a.claimed_at - b.claimed_at || a.answered_at - b.answered_at)
  }
  return byRun
}

export function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key) {
  const groups = new Map<Key, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}

export const reported = ({ reports }: Holding, what: ReportNote['what']): ReportNote[] =>
  reports.filter((report) => report.what === what)

export const acknowledgedReport = (
  holding: Holding,
  what: ReportNote['what'],
): ReportNote | undefined => reported(holding, what).find(isAcknowledged)

/**
 * Whether the servers must have taken the runner for alive all the time: of any two signs of life
 * after each other the second was answered before the first could be called old.
 */
export function aliveThroughout(ledger: Ledger, runner_id: string, from: number, to: number) {
  const staleMs = SECONDS.stale * 1000
  let heard = Number.NEGATIVE_INFINITY
  for (const sign of ledger.signs) {
    if (sign.runner_id !== runner_id || !isAcknowledged(sign)) continue
    const answered = sign.answered ?? 0
    if (answered > from && answered - heard >= staleMs) return false
    heard = sign.sent
    if (answered > to) return true
  }
  return to - heard < staleMs
}
