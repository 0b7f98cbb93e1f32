/** The runs at hand: each from its claim to the report of its end. */
import { resolve } from 'node:path'
import type { ClaimedRunView } from '../client/index.ts'
import { runEnvironment } from './environment.ts'
import type { RunnerSettings } from './options.ts'
import { CommandProcess, type Outcome } from './process.ts'
import type { Reports } from './reports.ts'

interface HeldRun {
  readonly run: ClaimedRunView
  process: CommandProcess | null
  stopping: boolean
}

export class Work {
  readonly #settings: RunnerSettings
  readonly #reports: Reports
  /** By claim token: a run may be lost and claimed again while its old report is on its way. */
  readonly #held = new Map<string, HeldRun>()

  constructor(settings: RunnerSettings, reports: Reports) {
    this.#settings = settings
    this.#reports = reports
  }

  /** Runs that take up a slot: until the server has heard of their end. */
  get size(): number {
    return this.#held.size
  }

  /** Resolves when nothing is left to do for the run. */
  async take(runner_id: string, run: ClaimedRunView): Promise<void> {
    const held: HeldRun = { run, process: null, stopping: false }
    this.#held.set(run.claim_token, held)
    try {
      await this.#carryOut(runner_id, held)
    } finally {
      this.#held.delete(run.claim_token)
    }
  }

  /** @returns whether such a run is here. */
  stopRun(run_id: string): boolean {
    return this.#stop((held) => held.run.run_id === run_id)
  }

  /** @returns whether a run of the session is here. */
  stopSession(session_id: string): boolean {
    return this.#stop((held) => held.run.session_id === session_id)
  }

  stopAll(): void {
    this.#stop(() => true)
  }

  killAll(): void {
    for (const held of this.#held.values()) {
      held.stopping = true
      held.process?.kill()
    }
  }

  #stop(concerned: (held: HeldRun) => boolean): boolean {
    const matches = [...this.#held.values()].filter(concerned)
    for (const held of matches.filter((each) => !each.stopping)) {
      const { run_id } = held.run
      held.stopping = true
      this.#settings.log({ event: 'stopping', message: `stopping ${run_id}`, run_id })
      held.process?.stop(this.#settings.grace_seconds)
    }
    return matches.length > 0
  }

  /**
   * The start is reported before the command is started, not after: a run that was given to
   * another runner meanwhile is then refused here, and never carried out twice.
   */
  async #carryOut(runner_id: string, held: HeldRun): Promise<void> {
    const { run } = held
    const { log } = this.#settings
    const { run_id } = run
    log({ event: 'claimed', message: `claimed ${run_id} ${excerpt(run.prompt ?? '')}`, run_id })
    if (!(await this.#reports.started(runner_id, run))) return
    const began = performance.now()
    const outcome = await this.#outcome(held)
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    log({
      event: outcome.status,
      message: `${outcome.status} ${run_id} after ${seconds} s${detail(outcome)}`,
      run_id,
    })
    await this.#reports.ended(runner_id, run, outcome)
  }

  #outcome(held: HeldRun): Promise<Outcome> {
    if (held.stopping) return Promise.resolve({ status: 'stopped', signal: 'SIGTERM' })
    const { command, output_bytes, url, token } = this.#settings
    const project_dir = resolve(this.#settings.project_dir, held.run.project_dir ?? '.')
    held.process = new CommandProcess({
      command,
      cwd: project_dir,
      env: runEnvironment(held.run, { url, token, project_dir }),
      input: held.run.prompt ?? '',
      output_bytes,
    })
    return held.process.outcome
  }
}

const EXCERPT_CHARACTERS = 60

/** In quotes and on one line. */
function excerpt(text: string): string {
  const cut = text.length > EXCERPT_CHARACTERS ? `${text.slice(0, EXCERPT_CHARACTERS - 1)}…` : text
  return JSON.stringify(cut)
}

function detail(outcome: Outcome): string {
  switch (outcome.status) {
    case 'completed':
      return outcome.left_out === 0
        ? ''
        : `, without the first ${outcome.left_out} bytes of its output: --output-bytes keeps more`
    case 'failed':
      return `: ${outcome.error.split('\n', 1)[0]}`
    case 'stopped':
      return ` (${outcome.signal})`
  }
}
