/**
 * The reference runner: registers, waits for runs with long polls, carries each out as a process,
 * and reports what came of it. It rides out restarts of the server; see {@link startRunner}.
 */
import { randomUUID } from 'node:crypto'
import { once, setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { httpFetch } from '../client/http-fetch.ts'
import {
  type ClaimAnswer,
  isTokenRefused,
  type RegisterAnswer,
  RunqueueClient,
} from '../client/index.ts'
import { isStatus, isUnknownOrDenied, type Patience, untilAnswered } from './backoff.ts'
import {
  findProgram,
  type RunnerOptions,
  type RunnerSettings,
  registerRequest,
  runnerSettings,
} from './options.ts'
import { Registration } from './registration.ts'
import { Reports } from './reports.ts'
import { Work } from './work.ts'

export interface RunnerHandle {
  /**
   * Resolves when the runner has ended: drained, deregistered or killed.
   * Rejects with an ApiError when the server cannot make sense of the runner's identity, or does
   * not take its token, or no longer.
   */
  drained: Promise<void>
  /**
   * Takes nothing new, lets work finish for `drain_seconds`, then stops it, says goodbye to the
   * server and ends.
   */
  drain(): void
  /** Kills all processes and ends at once, without a word to the server. */
  kill(): void
}

/** What reports of stopped work get to reach the server once the grace period is over. */
const SETTLE_SECONDS = 10
const GOODBYE_SECONDS = 5
/** A poll that the server answers at once, whatever its reason, must not become a busy loop. */
const POLL_SECONDS_MIN = 0.1

/**
 * Starts a runner. Every call to the server is repeated with growing pauses until it is answered,
 * and a claim whose answer was lost is repeated with its key, so a restart of the server costs
 * neither a run nor a report. Processes run on meanwhile.
 *
 * Each command leads a process group of its own. A runner that is itself killed by SIGKILL cannot
 * stop them: they are left running, and the server fails or requeues their runs.
 *
 * @throws Error in words for people when the options make no sense or there is no such program.
 */
export function startRunner(options: RunnerOptions): RunnerHandle {
  const runner = new Runner(runnerSettings(options), findProgram(options.command[0]))
  return {
    drained: runner.serve(),
    drain: () => runner.drain(),
    kill: () => runner.kill(),
  }
}

class Runner {
  readonly #settings: RunnerSettings
  readonly #client: RunqueueClient
  readonly #registration: Registration
  readonly #reports: Reports
  readonly #work: Work
  /** Aborted when the runner has nothing more to do, or no more time to do it. */
  readonly #over = new AbortController()
  readonly #patience: Patience
  /** What has to be done before the runner may end: the runs at hand, reports on their way. */
  readonly #duties = new Set<string>()
  #poll: { readonly free: number; readonly abort: AbortController } | null = null
  #leaving = false
  #deregistered = false
  #killed = false

  constructor(settings: RunnerSettings, program: string) {
    const { url, token, backoff, log } = settings
    this.#settings = settings
    // Its own patience has calls made again, and says so.
    this.#client = new RunqueueClient({ url, token, fetch: httpFetch, retries: 0 })
    // One listener for each call under way, and there may be hundreds.
    setMaxListeners(0, this.#over.signal)
    this.#patience = { signal: this.#over.signal, backoff, log }
    this.#registration = new Registration(this.#client, registerRequest(settings), this.#patience)
    this.#reports = new Reports(this.#client, this.#patience)
    const [, ...args] = settings.command
    this.#work = new Work({ ...settings, command: [program, ...args] }, this.#reports)
  }

  async serve(): Promise<void> {
    const { signal } = this.#over
    const over = signal.aborted ? Promise.resolve() : once(signal, 'abort')
    try {
      await Promise.race([this.#pollOn(), this.#registration.beat((lost) => this.#renew(lost))])
      await over
    } catch (error) {
      if (!signal.aborted) {
        this.kill()
        throw error
      }
    }
    await this.#sayGoodbye()
    this.#settings.log({ event: 'ended', message: 'the runner has ended' })
  }

  drain(): void {
    if (this.#leaving) return
    const { drain_seconds, log } = this.#settings
    const message =
      this.#work.size === 0
        ? 'leaving'
        : `leaving: takes nothing new, work at hand has ${drain_seconds} s to finish`
    log({ event: 'draining', message })
    void this.#leave(drain_seconds)
  }

  kill(): void {
    this.#killed = true
    this.#work.killAll()
    this.#end()
  }

  async #pollOn(): Promise<void> {
    while (!this.#over.signal.aborted && !this.#deregistered) {
      const registration = await this.#registration.current()
      const asked = performance.now()
      const answer = await this.#claim(registration)
      if (answer === null) continue
      this.#handle(registration, answer)
      const rest = POLL_SECONDS_MIN * 1000 - (performance.now() - asked)
      if (answer.runs.length === 0 && rest > 0) {
        await sleep(rest, undefined, { signal: this.#over.signal })
      }
    }
  }

  /**
   * The key makes sure that no answer is lost for good: repeated with it, a claim brings the runs
   * it brought before.
   * @returns null when the poll was given up or this runner is not known.
   */
  async #claim(registration: RegisterAnswer): Promise<ClaimAnswer | null> {
    const { runner_id, poll_timeout_seconds } = registration
    const free = this.#leaving ? 0 : this.#settings.slots - this.#work.size
    const abort = new AbortController()
    this.#poll = { free, abort }
    const request = { runner_id, limit: free, wait_seconds: poll_timeout_seconds }
    const claim = free === 0 ? request : { ...request, claim_key: randomUUID() }
    try {
      return await untilAnswered(
        () => this.#client.claimRuns(claim, abort.signal),
        { what: 'poll for work', isFinal: isUnknownOrDenied },
        { ...this.#patience, signal: abort.signal },
      )
    } catch (error) {
      if (abort.signal.aborted) return null
      if (isTokenRefused(error) || !isStatus(error, 401)) throw error
      this.#renew(registration)
      return null
    } finally {
      this.#poll = null
    }
  }

  #handle({ runner_id }: RegisterAnswer, answer: ClaimAnswer): void {
    // Claimed for a runner that is leaving: given back by its goodbye.
    const runs = this.#leaving ? [] : answer.runs
    for (const run of runs) this.#do(run.claim_token, () => this.#work.take(runner_id, run))
    for (const run_id of answer.stop_runs) {
      if (this.#work.stopRun(run_id)) continue
      this.#do(run_id, () => this.#reports.absentRunStopped(runner_id, run_id))
    }
    for (const session_id of answer.stop_sessions) {
      if (this.#work.stopSession(session_id)) continue
      this.#do(session_id, () => this.#reports.absentSessionStopped(runner_id, session_id))
    }
    if (answer.deregistered) this.#onDeregistered()
  }

  /** @param name told again while it is being done, it is done once. */
  #do(name: string, task: () => Promise<unknown>): void {
    if (this.#duties.has(name)) return
    this.#duties.add(name)
    void task().then(() => {
      this.#duties.delete(name)
      this.#onDone()
    })
  }

  #onDone(): void {
    if (this.#leaving && this.#duties.size === 0) this.#end()
    // A poll for stops alone was sent while all slots were busy; ask for work instead.
    else if (!this.#leaving && this.#poll?.free === 0) this.#poll.abort.abort()
  }

  #renew(lost: RegisterAnswer): void {
    if (!this.#leaving) this.#registration.renew(lost)
    // Nobody waits for a runner that is leaving: its remaining reports will be refused.
    else this.#deregistered = true
  }

  #onDeregistered(): void {
    const message = 'the server has removed this runner; stopping its work'
    this.#settings.log({ event: 'deregistered', message })
    this.#deregistered = true
    this.#work.stopAll()
    if (!this.#leaving) void this.#leave(0)
  }

  async #leave(workSeconds: number): Promise<void> {
    const { signal } = this.#over
    this.#leaving = true
    this.#poll?.abort.abort()
    this.#onDone()
    try {
      await sleep(workSeconds * 1000, undefined, { signal })
      this.#work.stopAll()
      const seconds = this.#settings.grace_seconds + SETTLE_SECONDS
      await sleep(seconds * 1000, undefined, { signal })
      this.#end()
    } catch {
      // Over before its time: all is done.
    }
  }

  #end(): void {
    this.#over.abort()
    this.#poll?.abort.abort()
  }

  async #sayGoodbye(): Promise<void> {
    const known = this.#registration.answer
    if (known === null || this.#deregistered || this.#killed) return
    const signal = AbortSignal.timeout(GOODBYE_SECONDS * 1000)
    try {
      await untilAnswered(
        () => this.#client.removeRunner(known.runner_id, { self: true }),
        { what: 'say goodbye' },
        { ...this.#patience, signal },
      )
    } catch {
      const message = 'could not say goodbye: the server will notice that the heartbeats end'
      this.#settings.log({ event: 'report_undelivered', message })
    }
  }
}
