/** The processes of the runners: killed at any moment, and started anew. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import type { Capabilities } from '../../src/queue/demands.ts'
import { idOf } from './crash-runner.ts'
import type { Ledger } from './ledger.ts'
import type { Note } from './notes.ts'
import type { FromRunners, ToRunners } from './runner-process.ts'

/** Made JavaScript once: with tsx each of many starts takes 0.3 s of CPU instead of 0.07. */
const PROGRAM = programOf(new URL('./runner-process.ts', import.meta.url))
const RUNNERS_IN_PROCESS = 3
/** The tags that runs demand; each runner offers two of them, or requires one. */
export const TAGS = ['red', 'green', 'blue'] as const

export interface CrewOptions {
  url: string
  ledger: Ledger
  random: () => number
  count: number
}

export class Crew {
  readonly #options: CrewOptions
  readonly #children: (ChildProcess | undefined)[]
  /** Runners that come back as who they were keep the generation. */
  readonly #generations: number[]
  #calm = false

  constructor(options: CrewOptions) {
    this.#options = options
    this.#children = Array.from({ length: options.count }, () => undefined)
    this.#generations = Array.from({ length: options.count }, () => 0)
  }

  start(at: number): void {
    const { url, ledger, random } = this.#options
    // As who they were, or as others: then those before go silent, and what they held is settled.
    // (A runner that comes back as who it was keeps its running runs, by design; at the end none
    // does, so that all runs end.)
    if (this.#calm || random() < 0.5) this.#generations[at] = (this.#generations[at] ?? 0) + 1
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#children[at] = child
    child.on('error', () => {})
    child.on('message', listener(ledger))
    const runners = Array.from({ length: RUNNERS_IN_PROCESS }, (_, n) => this.#offers(at, n))
    for (const offers of runners) ledger.capabilities.set(idOf(offers), offers)
    this.#tell(child, { url, seed: Math.floor(random() * 2 ** 32), runners })
    if (this.#calm) this.#tell(child, 'calm')
  }

  async kill(at: number): Promise<void> {
    const child = this.#children[at]
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#children.map((_, at) => this.kill(at)))
  }

  /** From now on no run is forgotten. */
  calm(): void {
    this.#calm = true
    for (const child of this.#children) if (child?.connected) this.#tell(child, 'calm')
  }

  #tell(child: ChildProcess, message: ToRunners): void {
    child.send(message, () => {})
  }

  #offers(at: number, n: number): Capabilities {
    return {
      hostname: `host-${at}`,
      project_dir: `/crash/${n}/${this.#generations[at]}`,
      executor_type: null,
      executor_profile: 'crash',
      tags: TAGS.filter((_, tag) => tag !== (at + n) % TAGS.length),
      require_matching_tags: n === RUNNERS_IN_PROCESS - 1,
    }
  }
}

/** A module with all that it imports, as text. */
function programOf(url: URL): string {
  const { outputFiles } = buildSync({
    ...{ entryPoints: [fileURLToPath(url)], bundle: true, write: false, packages: 'external' },
    ...{ platform: 'node', format: 'esm', target: 'node20' },
  })
  return outputFiles.map(({ text }) => text).join('')
}

/** What a killed process has not sent any more is missing: then a note stays `lost`. */
function listener(ledger: Ledger): (message: unknown) => void {
  const open = new Map<number, (facts: Partial<Note>) => void>()
  return (message) => {
    const said = message as FromRunners
    if ('note' in said) open.set(said.id, ledger.write(said.note))
    else {
      open.get(said.id)?.(said.facts)
      open.delete(said.id)
    }
  }
}
