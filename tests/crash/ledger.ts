/** All that was asked and answered, written down outside of the processes that are killed. */
import type { Capabilities } from '../../src/queue/demands.ts'
import type {
  AddNote,
  ClaimNote,
  Note,
  ReportNote,
  RetryNote,
  SignNote,
  StopNote,
} from './notes.ts'

export class Ledger {
  readonly adds: AddNote[] = []
  readonly retries: RetryNote[] = []
  readonly stops: StopNote[] = []
  readonly claims: ClaimNote[] = []
  readonly reports: ReportNote[] = []
  readonly signs: SignNote[] = []
  /** What each runner offers, by its id. */
  readonly capabilities = new Map<string, Capabilities>()
  /** Servers that ended though nobody killed them. */
  readonly deaths: string[] = []
  /** Answers of 5xx other than those that say the database is busy, gone or full. */
  readonly crashes: string[] = []

  readonly write = <N extends Note>(note: N): ((facts: Partial<N>) => void) => {
    this.#listOf(note).push(note)
    return (facts) => {
      Object.assign(note, facts)
      const { status } = note
      if (status !== null && status >= 500 && status !== 503 && status !== 507) {
        this.crashes.push(`${status} to ${JSON.stringify(note)}`)
      }
    }
  }

  /** What it said at a moment: what was answered since counts as not answered. */
  asOf(moment: number): Ledger {
    const view = new Ledger()
    const { adds, retries, stops, claims, reports, signs } = this
    for (const note of [adds, retries, stops, claims, reports, signs].flat()) {
      const isKnown = note.answered === null || note.answered <= moment
      view.write(isKnown ? note : unanswered(note))
    }
    for (const [id, offers] of this.capabilities) view.capabilities.set(id, offers)
    view.deaths.push(...this.deaths)
    view.crashes.push(...this.crashes)
    return view
  }

  #listOf(note: Note): Note[] {
    switch (note.kind) {
      case 'add':
        return this.adds
      case 'retry':
        return this.retries
      case 'stop':
        return this.stops
      case 'claim':
        return this.claims
      case 'report':
        return this.reports
      case 'sign':
        return this.signs
    }
  }
}

function unanswered(note: Note): Note {
  const lost = { answered: null, outcome: 'lost', status: null } as const
  return note.kind === 'claim'
    ? { ...note, ...lost, runs: [], stop_runs: [] }
    : { ...note, ...lost }
}
