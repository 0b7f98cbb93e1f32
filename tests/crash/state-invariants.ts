/** What must hold of the database by itself: each move legal and in order, nothing out of step. */
import { type Invariant, invariant } from '../../src/load/invariants.ts'
import { satisfies } from '../../src/queue/demands.ts'
import type { RunStatus } from '../../src/queue/run.ts'
import { TRANSITIONS } from '../../src/queue/transitions.ts'
import type { Row } from './database.ts'
import type { Evidence } from './evidence.ts'

const LEGAL = new Set([
  ...Object.values(TRANSITIONS).flatMap(({ from, to }) => from.map((each) => `${each} → ${to}`)),
  // Its time has come.
  'pending → pending',
])

export function legalMoves({ moves, rows }: Evidence): Invariant {
  const last = new Map<number, RunStatus>()
  const faults: string[] = []
  for (const { event_id, run_seq, from_status, to_status } of moves) {
    const before = last.get(run_seq) ?? null
    last.set(run_seq, to_status)
    const move = `${from_status} → ${to_status}`
    if (from_status !== before) faults.push(`move ${event_id}: ${move} after ${before}`)
    else if (before === null ? to_status !== 'pending' : !LEGAL.has(move)) {
      faults.push(`move ${event_id} of run ${run_seq} is not allowed: ${move}`)
    }
  }
  for (const { run_id, seq, status } of rows) {
    if (last.get(seq) !== status)
      faults.push(`${run_id} is ${status}, its last move says otherwise`)
  }
  const claim = 'every move is one of the state machine, and none is missing'
  return invariant('legal_moves', claim, moves.length, faults)
}

/**
 * Played again, each claim takes the best of what was pending and fits its runner. Where claims do not
 * wait for one another, their order is not told by the events: see {@link notLeftBehind}.
 */
export function orderKept(evidence: Evidence): Invariant {
  if (!evidence.ordered) return notLeftBehind(evidence)
  const { moves, rows, ledger } = evidence
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  const pending = new Map<number, Row>()
  const faults: string[] = []
  let checked = 0
  for (const { run_seq, from_status, to_status, runner_id } of moves) {
    const run = bySeq.get(run_seq)
    if (!run) continue
    if (to_status === 'pending' && !mayWait(run, from_status)) pending.set(run_seq, run)
    else pending.delete(run_seq)
    const offers = ledger.capabilities.get(runner_id ?? '')
    if (to_status !== 'claimed' || !offers) continue
    checked += 1
    if (!satisfies(offers, run.demands)) {
      faults.push(`${runner_id} does not offer what ${run.run_id} demands`)
    }
    for (const other of pending.values()) {
      if (!isBefore(other, run) || !satisfies(offers, other.demands)) continue
      faults.push(`${other.run_id} was passed over when ${runner_id} claimed ${run.run_id}`)
      break
    }
  }
  const claim = 'the highest priority went first, and in it the oldest'
  return invariant('order_kept', claim, checked, faults)
}

/** What another claim holds locked for a moment is passed over, and free again where that came to nothing. */
const PASSED_OVER_MAX = 3

/**
 * A run that was there before a claim was asked for, and left alone until after its answer, was
 * passed over where the claim took a worse one. That happens to none again and again.
 */
function notLeftBehind({ moves, rows, ledger }: Evidence): Invariant {
  const added = new Map<string, number>()
  for (const { run_ids, answered, outcome } of ledger.adds) {
    if (outcome !== 'acknowledged' || answered === null) continue
    for (const run_id of run_ids) if (!added.has(run_id)) added.set(run_id, answered)
  }
  const left = new Map<number, number>()
  for (const { run_seq, from_status, at } of moves) {
    if (from_status !== null && !left.has(run_seq)) left.set(run_seq, Date.parse(at))
  }
  const byId = new Map(rows.map((row) => [row.run_id, row]))
  const passedOver = new Map<string, number>()
  let checked = 0
  for (const { runner_id, sent, answered, runs } of ledger.claims) {
    const offers = ledger.capabilities.get(runner_id)
    for (const { run_id, claimed_at } of runs) {
      const run = byId.get(run_id)
      if (!run) continue
      checked += 1
      // What is handed out again was chosen when it was claimed first.
      const chosen = Math.min(sent, claimed_at)
      for (const other of rows) {
        const since = added.get(other.run_id) ?? Number.POSITIVE_INFINITY
        const until = left.get(other.seq) ?? Number.POSITIVE_INFINITY
        const wasThere = since < chosen && until > (answered ?? Number.POSITIVE_INFINITY)
        if (!wasThere || mayWait(other, null) || !offers || !satisfies(offers, other.demands))
          continue
        if (!isBefore(other, run)) continue
        passedOver.set(other.run_id, (passedOver.get(other.run_id) ?? 0) + 1)
      }
    }
  }
  const faults = [...passedOver].flatMap(([run_id, times]) =>
    times > PASSED_OVER_MAX ? [`${run_id} was passed over ${times} times`] : [],
  )
  const claim = 'the highest priority went first, and in it the oldest'
  return invariant('order_kept', claim, checked, faults)
}

/** Until its time has come, which is a move of its own, nobody may claim it. */
function mayWait({ delay_ms, retry_delay_seconds }: Row, from: RunStatus | null): boolean {
  if (from === 'pending') return false
  return from === null ? delay_ms > 0 : retry_delay_seconds !== null
}

function isBefore(one: Row, other: Row): boolean {
  if (one.priority !== other.priority) return one.priority > other.priority
  if (one.created_at !== other.created_at) return one.created_at < other.created_at
  return one.seq < other.seq
}

const SESSION_WORDS: Partial<Record<RunStatus, string>> = {
  completed: 'finished',
  failed: 'failed',
  stopped: 'stopped',
}

/** Sessions, their events and the counter follow the runs; the file is whole. */
export function inStep(evidence: Evidence): Invariant {
  const { rows, moves, sessions, completions, pendingCounter, damage, final } = evidence
  const faults = damage.map((line) => `the file is damaged: ${line}`)
  const pending = rows.filter(({ status }) => status === 'pending').length
  if (pendingCounter !== null && pending !== pendingCounter) {
    faults.push(`${pending} are pending, counted ${pendingCounter}`)
  }
  const bySeq = new Map(rows.map((row) => [row.seq, row]))
  for (const { run_id, status } of rows) {
    const told = completions.get(run_id) ?? 0
    if (told === (status === 'completed' ? 1 : 0)) continue
    faults.push(`${run_id} is ${status}, and its completion was told ${told} times`)
  }
  const words = new Map<string, Set<string>>()
  for (const { run_seq, to_status } of moves) {
    const word = SESSION_WORDS[to_status]
    const session_id = bySeq.get(run_seq)?.session_id
    if (!word || !session_id) continue
    // Where the order of commits is not told, any of the session's runs may have ended last.
    const before = evidence.ordered ? [] : (words.get(session_id) ?? [])
    words.set(session_id, new Set([...before, word]))
  }
  for (const { session_id, status } of final ? sessions : []) {
    const left = words.get(session_id) ?? new Set()
    if (left.has(status)) continue
    faults.push(`${session_id} is ${status}, its last run left it ${[...left].join(' or ')}`)
  }
  const claim = 'sessions, events and counters follow their runs, and the file is whole'
  return invariant('in_step', claim, rows.length + sessions.length, faults)
}

export function serversStay({ ledger: { deaths, crashes } }: Evidence): Invariant {
  const faults = [...deaths.map((how) => `a server ended on its own: ${how}`), ...crashes]
  const claim = 'no server ended on its own or answered with an error of its own'
  return invariant('servers_stay', claim, 1, faults)
}
