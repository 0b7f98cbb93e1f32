/**
 * A runner that only acts as if: it takes a run, reports it started, takes its time, reports it
 * completed, and asks for the next. Like a real one it has a connection of its own.
 */
import { randomUUID } from 'node:crypto'
import type { ClaimAnswer } from '../client/index.ts'
import type { Failures } from './failures.ts'
import { type Call, DEADLINE_MS, type HttpClient, Refused } from './http.ts'
import type { ClaimRecord, Delivery, Ledger, RunRecord } from './ledger.ts'
import type { Recorder } from './recorder.ts'
import type { Step } from './steps.ts'
import { pause } from './timing.ts'

/** What all runners of a load share. */
export interface Workplace {
  ledger: Ledger
  recorder: Recorder
  failures: Failures
  random: () => number
  work_ms: number
  /** Aborts when there is no more to do: polls are given up, runs at hand are completed at once. */
  leave: AbortSignal
}

/** Spread, so that polls that began together do not all end together. */
const POLL_SECONDS = { least: 15, most: 25 }
const POLL_DEADLINE_MS = 40_000
const BACKOFF_MS = { first: 50, most: 1000 }

export class SimulatedRunner {
  readonly runner_id: string
  readonly #client: HttpClient
  readonly #place: Workplace
  #poll: Call | undefined
  /** Kept until its answer is here: a claim that is repeated gets what the first one took. */
  #claimKey = randomUUID()

  constructor(runner_id: string, client: HttpClient, place: Workplace) {
    this.runner_id = runner_id
    this.#client = client
    this.#place = place
  }

  /** Works until it is to leave. */
  async work(): Promise<void> {
    const { leave } = this.#place
    const giveUp = () => this.#poll?.cancel()
    leave.addEventListener('abort', giveUp)
    let backoffMs = 0
    while (!leave.aborted) {
      backoffMs = (await this.#turn()) ? 0 : longer(backoffMs)
      if (backoffMs > 0) await pause(backoffMs, leave)
    }
    leave.removeEventListener('abort', giveUp)
  }

  /** @returns false when it did not go well and the next turn had better wait */
  async #turn(): Promise<boolean> {
    const { ledger, leave, failures, random } = this.#place
    const { least, most } = POLL_SECONDS
    const body = JSON.stringify({
      runner_id: this.runner_id,
      limit: 1,
      wait_seconds: least + random() * (most - least),
      claim_key: this.#claimKey,
    })
    const sent = Date.now()
    const asked = performance.now()
    let answer: ClaimAnswer
    try {
      this.#poll = this.#client.send('POST', '/runner/runs/claim', body, POLL_DEADLINE_MS)
      answer = JSON.parse(await this.#poll.answer) as ClaimAnswer
      this.#claimKey = randomUUID()
    } catch (error) {
      // Whoever gives up at the end knows that nothing is claimed after that.
      if (leave.aborted) return true
      failures.count('claim', error)
      if (!(error instanceof Refused)) ledger.loseClaim(sent)
      return false
    } finally {
      this.#poll = undefined
    }
    for (const run of answer.runs) {
      const record = ledger.recordOf(run.prompt)
      if (record) await this.#carryOut(record, this.#note(record, run, asked))
    }
    return true
  }

  #note(record: RunRecord, run: ClaimAnswer['runs'][number], asked: number): ClaimRecord {
    const claim: ClaimRecord = {
      run_id: run.run_id,
      runner_id: this.runner_id,
      claim_token: run.claim_token,
      created_at: Date.parse(run.created_at),
      claimed_at: Date.parse(run.claimed_at ?? ''),
      answered_at: Date.now(),
      started: 'unsent',
      completed: 'unsent',
    }
    record.claims.push(claim)
    const now = performance.now()
    this.#measure(record, 'wait', record.asked, now)
    this.#measure(record, 'claim', Math.max(asked, record.asked), now)
    return claim
  }

  async #carryOut(record: RunRecord, claim: ClaimRecord): Promise<void> {
    const { ledger, work_ms, leave } = this.#place
    const { runner_id } = this
    const { claim_token } = claim
    claim.started = await this.#report(record, claim, 'started', { runner_id, claim_token })
    if (claim.started !== 'acknowledged') return
    if (record.phase === 'arrivals') await pause(work_ms, leave)
    const result = { text: 'done' }
    const ending = { runner_id, claim_token, result }
    claim.completed = await this.#report(record, claim, 'completed', ending)
    if (claim.completed === 'acknowledged') ledger.complete(record, performance.now())
  }

  /** As real runners do: repeated until it is taken or refused, within reason. */
  async #report(
    record: RunRecord,
    { run_id }: ClaimRecord,
    step: 'started' | 'completed',
    body: object,
  ): Promise<Delivery> {
    const { failures, leave } = this.#place
    const text = JSON.stringify(body)
    const path = `/runner/runs/${run_id}/${step}`
    const until = performance.now() + DEADLINE_MS
    for (let backoffMs = longer(0); ; backoffMs = longer(backoffMs)) {
      const sent = performance.now()
      try {
        await this.#client.send('POST', path, text).answer
        this.#measure(record, step, sent, performance.now())
        return 'acknowledged'
      } catch (error) {
        failures.count(step, error)
        if (error instanceof Refused && error.status < 500) return 'refused'
      }
      if (leave.aborted || performance.now() > until) return 'lost'
      await pause(backoffMs, leave)
    }
  }

  #measure({ phase }: RunRecord, step: Step, from: number, to: number): void {
    if (phase === 'arrivals') this.#place.recorder.record(step, from, to)
  }
}

const longer = (backoffMs: number): number =>
  Math.min(Math.max(backoffMs * 2, BACKOFF_MS.first), BACKOFF_MS.most)
