/**
 * Whether runs were claimed in their order: the highest priority first, in it the oldest.
 *
 * Requests overlap, so the order of answers proves nothing. But a claim did happen between its
 * claimed_at, which the server takes before it looks, and the moment its answer was here; a run was
 * added between its created_at and the moment its add was answered. Server and harness are on one
 * machine and read one clock. So a run A was certainly passed over by the claim of B when
 * - the add of A had been answered before that claim was made,
 * - A itself was claimed only after the answer to that claim was here,
 * - the runner that claimed B could have taken A, and
 * - A has the higher priority; or the same, and its add was answered before B was created.
 * Each of these compares two moments that bound the true ones from the safe side, so a right queue
 * never fails, however slow; a wrong order shows wherever it exceeds the time a request takes. Equal
 * milliseconds count as unknown. Only first claims are judged: a run that went back to the queue
 * was not pending all the time. Once the answer to a claim was lost, nobody knows which run was
 * held for how long, so claims from then on are not judged; nor is a run that was never claimed
 * taken as passed over (it ended wrongly, which is a fault of its own).
 */
import { type Capabilities, type Demands, satisfies } from '../queue/demands.ts'
import type { ClaimRecord, RunRecord } from './ledger.ts'

export interface OrderFacts {
  records: readonly RunRecord[]
  capabilities: ReadonlyMap<string, Capabilities>
  claimsLostSince: number | null
}

export interface PassedOver {
  record: RunRecord
  by: RunRecord
}

/** @returns how many claims could be judged, and for each that was wrong one run it passed over */
export function judgeOrder(facts: OrderFacts): { judged: number; passedOver: PassedOver[] } {
  const { records, capabilities, claimsLostSince } = facts
  const lines = linesOf(records)
  const offered = linesByOffer(lines, capabilities)
  const passedOver: PassedOver[] = []
  let judged = 0
  for (const by of records) {
    const claim = by.claims[0]
    if (!claim || (claimsLostSince !== null && claim.answered_at >= claimsLostSince)) continue
    judged += 1
    const record = firstPassedOver(offered(claim.runner_id), by, claim)
    if (record) passedOver.push({ record, by })
  }
  return { judged, passedOver }
}

function firstPassedOver(
  lines: readonly Line[],
  by: RunRecord,
  claim: ClaimRecord,
): RunRecord | undefined {
  const { priority } = by.planned
  for (const line of lines) {
    if (line.priority < priority) continue
    const before = line.priority > priority ? claim.claimed_at : claim.created_at
    const last = line.lastClaimedOf(before)
    if (last && last.claimed_at > claim.answered_at) return last.record
  }
  return undefined
}

/** A claimed run in its line. */
interface Member {
  record: RunRecord
  accepted_at: number
  /** The latest claim of this member and all that were accepted before it. */
  last: { record: RunRecord; claimed_at: number }
}

/** Runs with equal demands and priority, in the order in which their adds were answered. */
class Line {
  readonly demands: Demands | null
  readonly priority: number
  readonly #members: Member[] = []

  constructor({ demands, priority }: RunRecord['planned']) {
    this.demands = demands
    this.priority = priority
  }

  /** In the order of `accepted_at`. */
  append(record: RunRecord, accepted_at: number, { claimed_at }: ClaimRecord): void {
    const before = this.#members.at(-1)?.last
    const last = before && before.claimed_at >= claimed_at ? before : { record, claimed_at }
    this.#members.push({ record, accepted_at, last })
  }

  /** Of the runs whose adds were answered before `time`, the one that was claimed last. */
  lastClaimedOf(time: number): Member['last'] | undefined {
    let low = 0
    let high = this.#members.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#members[middle]?.accepted_at ?? time) < time) low = middle + 1
      else high = middle
    }
    return this.#members[low - 1]?.last
  }
}

function linesOf(records: readonly RunRecord[]): Line[] {
  const claimed = records.flatMap((record) => {
    const { accepted_at, claims } = record
    const claim = claims[0]
    return accepted_at === null || !claim ? [] : [{ record, accepted_at, claim }]
  })
  claimed.sort((a, b) => a.accepted_at - b.accepted_at)
  const lines = new Map<Demands | null, Map<number, Line>>()
  for (const { record, accepted_at, claim } of claimed) {
    const { demands, priority } = record.planned
    const byPriority = lines.get(demands) ?? new Map<number, Line>()
    lines.set(demands, byPriority)
    const line = byPriority.get(priority) ?? new Line(record.planned)
    byPriority.set(priority, line)
    line.append(record, accepted_at, claim)
  }
  return [...lines.values()].flatMap((byPriority) => [...byPriority.values()])
}

/** The lines that a runner may take from; runners that offer the same share the answer. */
function linesByOffer(
  lines: readonly Line[],
  capabilities: ReadonlyMap<string, Capabilities>,
): (runner_id: string) => readonly Line[] {
  const known = new Map<string, readonly Line[]>()
  return (runner_id) => {
    const offered = capabilities.get(runner_id)
    if (!offered) return []
    const key = JSON.stringify([offered.hostname, offered.tags])
    const takeable = known.get(key) ?? lines.filter(({ demands }) => satisfies(offered, demands))
    known.set(key, takeable)
    return takeable
  }
}
