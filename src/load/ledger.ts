/** What the harness knows of each run by itself, apart from what the server says later. */
import type { PlannedRun } from './scenario.ts'

/** How a request went: `lost` ones may have been carried out or not. */
export type Delivery = 'unsent' | 'acknowledged' | 'refused' | 'lost'

/** An answer to a claim. Times are milliseconds since the epoch, as the server's are. */
export interface ClaimRecord {
  run_id: string
  runner_id: string
  claim_token: string
  created_at: number
  /** By the server: the claim happened between this … */
  claimed_at: number
  /** … and this, when its answer was here. */
  answered_at: number
  started: Delivery
  completed: Delivery
}

export interface RunRecord {
  readonly index: number
  readonly phase: Phase
  readonly planned: PlannedRun
  /** From when on its waiting counts, by performance.now(). */
  asked: number
  /** Null until the server has accepted it. */
  run_id: string | null
  accepted_at: number | null
  /** In the order of the answers. */
  readonly claims: ClaimRecord[]
  /** Its completion was acknowledged. */
  done: boolean
}

/** Only `arrivals` are measured, and only they take a runner's time. */
export type Phase = 'backlog' | 'history' | 'warm_up' | 'arrivals'

export type Drained = 'drained' | 'stalled' | 'stopped'

export class Ledger {
  readonly records: RunRecord[] = []
  readonly #promptStart: string
  accepted = 0
  completed = 0
  /** By performance.now(). */
  lastCompletion = 0
  /** A claim whose answer was lost may have taken any run, since this time. */
  claimsLostSince: number | null = null
  /** Accepted, takeable and not completed yet. */
  #open = 0
  #progress = 0
  #onDrained: (() => void) | undefined

  /** @param load_id tells this load's runs from those of others on the same server */
  constructor(load_id: string) {
    this.#promptStart = `load ${load_id} run `
  }

  /** Says which run it is, so that a claim tells even before the answer to the add is here. */
  promptOf({ index }: RunRecord): string {
    return `${this.#promptStart}${index}`
  }

  /** @returns undefined for a run that is not of this load */
  recordOf(prompt: string | null): RunRecord | undefined {
    if (!prompt?.startsWith(this.#promptStart)) return undefined
    return this.records[Number(prompt.slice(this.#promptStart.length))]
  }

  plan(phase: Phase, runs: readonly PlannedRun[]): RunRecord[] {
    const records = runs.map((planned, at) => ({
      index: this.records.length + at,
      phase,
      planned,
      asked: 0,
      run_id: null,
      accepted_at: null,
      claims: [],
      done: false,
    }))
    for (const record of records) this.records.push(record)
    return records
  }

  /** @param now by Date.now() */
  accept(record: RunRecord, run_id: string, now: number): void {
    record.run_id = run_id
    record.accepted_at = now
    this.accepted += 1
    this.#progress += 1
    // It may be done already: the answer to its client took longer.
    if (record.phase !== 'backlog' && !record.done) this.#open += 1
  }

  /** A completion was acknowledged. @param at by performance.now() */
  complete(record: RunRecord, at: number): void {
    if (record.done) return
    record.done = true
    this.completed += 1
    this.lastCompletion = at
    this.#progress += 1
    if (record.run_id === null) return
    this.#open -= 1
    if (this.#open === 0) this.#onDrained?.()
  }

  /** @param sent when the claim was sent, by Date.now() */
  loseClaim(sent: number): void {
    this.claimsLostSince = Math.min(sent, this.claimsLostSince ?? sent)
  }

  get open(): number {
    return this.#open
  }

  /** Waits until all accepted runs are completed, as long as any still are. */
  drained(options: { stallMs: number; signal: AbortSignal }): Promise<Drained> {
    const { stallMs, signal } = options
    return new Promise((resolve) => {
      if (signal.aborted) return resolve('stopped')
      if (this.#open === 0) return resolve('drained')
      let seen = this.#progress
      const watch = setInterval(() => {
        if (this.#progress === seen) end('stalled')
        seen = this.#progress
      }, stallMs)
      const stop = () => end('stopped')
      const end = (outcome: Drained) => {
        clearInterval(watch)
        signal.removeEventListener('abort', stop)
        this.#onDrained = undefined
        resolve(outcome)
      }
      this.#onDrained = () => end('drained')
      signal.addEventListener('abort', stop)
    })
  }
}
