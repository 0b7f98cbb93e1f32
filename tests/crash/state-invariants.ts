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

/** Played again, each claim takes the best of what was pending and fits its runner. */
export function orderKept({ moves, rows, ledger }: Evidence): Invariant {
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
  const words = new Map<string, string | undefined>()
  for (const { run_seq, to_status } of moves) {
    const word = SESSION_WORDS[to_status]
    const session_id = bySeq.get(run_seq)?.session_id
    if (word && session_id) words.set(session_id, word)
  }
  for (const { session_id, status } of final ? sessions : []) {
    const word = words.get(session_id)
    if (word !== status) faults.push(`${session_id} is ${status}, its last run left it ${word}`)
  }
  const claim = 'sessions, events and counters follow their runs, and the file is whole'
  return invariant('in_step', claim, rows.length + sessions.length, faults)
}

export function serversStay({ ledger: { deaths, crashes } }: Evidence): Invariant {
  const faults = [...deaths.map((how) => `a server ended on its own: ${how}`), ...crashes]
  const claim = 'no server ended on its own or answered with an error of its own'
  return invariant('servers_stay', claim, 1, faults)
}
