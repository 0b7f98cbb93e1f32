/**
 * A runner under test conditions: it claims several runs, with a key or without, loses some, reports
 * what it does until that is answered, and says things twice or too late on purpose.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { ClaimAnswer, RegisterAnswer } from '../../src/client/index.ts'
import { pause } from '../../src/load/timing.ts'
import type { Capabilities } from '../../src/queue/demands.ts'
import { runnerId } from '../../src/queue/ids.ts'
import type { ClaimNote, Handed, Notary, Reported, ReportNote, SignNote } from './notes.ts'
import type { Parameters } from './work.ts'

/** How often what happens, of 1. */
const CHANCES = {
  keyless: 0.15,
  repeatedClaim: 0.2,
  forgotten: 0.06,
  repeatedEnd: 0.15,
  failure: 0.5,
}
const SLOTS = 3
const BACKOFF_MS = 60

interface Held extends Handed {
  parameters: Parameters
  stop: AbortController
}

interface RunnerOptions {
  notary: Notary
  offers: Capabilities
  random: () => number
  /** Aborts when nothing is to be lost any more: all runs are carried out. */
  calm: AbortSignal
}

export class CrashRunner {
  readonly #options: RunnerOptions
  /** By run; with the tokens that it was claimed with here before. */
  readonly #held = new Map<string, Held>()
  readonly #tokens = new Map<string, string[]>()
  readonly #runner_id: string

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#runner_id = idOf(options.offers)
  }

  async work(): Promise<void> {
    for (;;) {
      const { heartbeat_interval_seconds } = await this.#register()
      const over = new AbortController()
      const beating = this.#beat(heartbeat_interval_seconds, over.signal)
      while (await this.#turn());
      // Not known any more: what it held, others have.
      over.abort()
      for (const { stop } of this.#held.values()) stop.abort()
      await beating
    }
  }

  async #register(): Promise<RegisterAnswer> {
    const { notary, offers } = this.#options
    for (;;) {
      let answer: RegisterAnswer | null = null
      const about = { kind: 'sign', runner_id: this.#runner_id, what: 'register' } as const
      const call = { method: 'POST', path: '/runner/register', body: offers } as const
      await notary.ask<SignNote>(about, call, (text) => {
        answer = JSON.parse(text) as RegisterAnswer
        return {}
      })
      if (answer !== null) return answer
      await setTimeout(BACKOFF_MS)
    }
  }

  async #beat(seconds: number, over: AbortSignal): Promise<void> {
    const { notary } = this.#options
    const runner_id = this.#runner_id
    const call = { method: 'POST', path: '/runner/heartbeat', body: { runner_id } } as const
    while (!over.aborted) {
      await pause(seconds * 1000, over)
      if (over.aborted) return
      await notary.ask<SignNote>({ kind: 'sign', runner_id, what: 'heartbeat' }, call)
    }
  }

  /** @returns false when it is to register anew */
  async #turn(): Promise<boolean> {
    const { random, calm } = this.#options
    const free = SLOTS - this.#held.size
    const limit = free === 0 ? 0 : 1 + Math.floor(random() * free)
    const claim_key = random() < CHANCES.keyless ? null : randomUUID()
    const wait_seconds = limit === 0 ? 0.2 : random()
    for (;;) {
      const [note, runs] = await this.#claim({ limit, wait_seconds, claim_key })
      if (note.status === 401) return false
      if (note.outcome !== 'acknowledged') {
        await setTimeout(BACKOFF_MS)
        // Without a key nothing is got by asking again.
        if (claim_key === null) return true
        continue
      }
      for (const run_id of note.stop_runs) this.#stop(run_id)
      // What an earlier answer to this key brought, the next one brings.
      if (note.stop_runs.length > 0 && claim_key !== null) continue
      if (claim_key !== null && runs.length > 0 && random() < CHANCES.repeatedClaim) {
        await this.#claim({ limit, wait_seconds: 0, claim_key })
      }
      for (const run of runs) {
        if (!calm.aborted && random() < CHANCES.forgotten) this.#remember(run)
        else void this.#carryOut(run)
      }
      return true
    }
  }

  async #claim(wanted: {
    limit: number
    wait_seconds: number
    claim_key: string | null
  }): Promise<[ClaimNote, Held[]]> {
    const runner_id = this.#runner_id
    let runs: Held[] = []
    const about = { kind: 'claim', runner_id, claim_key: wanted.claim_key } as const
    const body = { runner_id, ...wanted }
    const note = await this.#options.notary.ask<ClaimNote>(
      { ...about, runs: [], stop_runs: [] },
      { method: 'POST', path: '/runner/runs/claim', body },
      (text) => {
        const answer = JSON.parse(text) as ClaimAnswer
        runs = answer.runs.map(heldOf)
        return {
          runs: runs.map(({ parameters: _, stop: __, ...handed }) => handed),
          stop_runs: answer.stop_runs,
        }
      },
    )
    return [note, runs]
  }

  #stop(run_id: string): void {
    const held = this.#held.get(run_id)
    if (held) held.stop.abort()
    else {
      const claim_token = this.#tokens.get(run_id)?.at(-1)
      if (claim_token) void this.#report({ run_id, claim_token }, 'stopped', null)
    }
  }

  #remember({ run_id, claim_token }: Handed): string[] {
    const before = (this.#tokens.get(run_id) ?? []).filter((token) => token !== claim_token)
    this.#tokens.set(run_id, [...before, claim_token])
    return before
  }

  async #carryOut(run: Held): Promise<void> {
    const { random } = this.#options
    const outdated = this.#remember(run).at(-1)
    if (this.#held.get(run.run_id)?.claim_token === run.claim_token) return
    this.#held.set(run.run_id, run)
    try {
      // Late words of an earlier claim: they must not count.
      if (outdated) await this.#once({ ...run, claim_token: outdated }, 'failed', 'outdated')
      if (!(await this.#report(run, 'started', null))) return
      const [what, says] = await this.#outcome(run)
      const taken = await this.#report(run, what, says)
      if (taken && random() < CHANCES.repeatedEnd) await this.#once(run, what, says)
    } finally {
      if (this.#held.get(run.run_id) === run) this.#held.delete(run.run_id)
    }
  }

  async #outcome({ parameters, claim_token, stop }: Held): Promise<[Reported, string | null]> {
    // What the service tells a parent has no plan.
    const { prompt, plan, work_ms = 0 } = parameters
    await pause(plan === 'until_stopped' ? 3_600_000 : work_ms, stop.signal)
    if (stop.signal.aborted) return ['stopped', null]
    const fails =
      plan === 'fail' || (plan === 'fail_sometimes' && this.#options.random() < CHANCES.failure)
    return [fails ? 'failed' : 'completed', `${prompt} by ${claim_token}`]
  }

  /** Until it is taken or refused. @returns whether it was taken */
  async #report(
    run: { run_id: string; claim_token: string },
    what: Reported,
    says: string | null,
  ): Promise<boolean> {
    for (;;) {
      const { outcome, status } = await this.#once(run, what, says)
      if (outcome === 'acknowledged') return true
      if (outcome === 'refused' && (status ?? 0) < 500) return false
      await setTimeout(BACKOFF_MS)
    }
  }

  #once(
    { run_id, claim_token }: { run_id: string; claim_token: string },
    what: Reported,
    says: string | null,
  ): Promise<ReportNote> {
    const runner_id = this.#runner_id
    const saying = what === 'failed' ? { error: says ?? '' } : { result: { text: says } }
    const body = { runner_id, claim_token, ...(says === null ? {} : saying) }
    const about = { kind: 'report', runner_id, run_id, claim_token, what, says } as const
    const path = `/runner/runs/${run_id}/${what}`
    return this.#options.notary.ask<ReportNote>(about, { method: 'POST', path, body })
  }
}

/** What the server will call it. */
export const idOf = (offers: Capabilities): string => runnerId({ ...offers, command: null })

function heldOf(run: ClaimAnswer['runs'][number]): Held {
  const { run_id, claim_token, attempt, max_attempts, parameters } = run
  return {
    ...{ run_id, claim_token, attempt, max_attempts },
    claimed_at: Date.parse(run.claimed_at ?? ''),
    parameters: parameters as unknown as Parameters,
    stop: new AbortController(),
  }
}
