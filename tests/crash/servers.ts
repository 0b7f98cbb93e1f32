/** Server processes on one database, as people start them; killed at any moment, and started anew. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Fault } from './faults.ts'
import type { Front } from './front.ts'

const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const faulty = (url: string) =>
  new URL(url.startsWith('file:') ? './faulty-driver.mjs' : './faulty-pg.mjs', import.meta.url).href

/** Time passes quickly, so that much happens in it. */
export const SECONDS = {
  claimTimeout: 1,
  heartbeat: 0.25,
  /** The shortest silence after which a runner's runs may be taken from it. */
  stale: 1.5,
  remove: 2.5,
}

const SETTINGS = {
  RUN_CLAIM_TIMEOUT: SECONDS.claimTimeout,
  RUN_SWEEP_INTERVAL: 0.2,
  RUNNER_HEARTBEAT_INTERVAL: SECONDS.heartbeat,
  RUNNER_STALE_THRESHOLD: SECONDS.stale,
  RUNNER_REMOVE_THRESHOLD: SECONDS.remove,
  RUNNER_LIFECYCLE_INTERVAL: 0.2,
  RUNNER_POLL_TIMEOUT: 1,
  RUN_RECOVERY_THRESHOLD: SECONDS.stale,
  /** More than there ever are: only that they are counted. */
  RUN_MAX_PENDING: 1_000_000,
}

/** What it said last, should it end on its own. */
const STDERR_KEPT = 2000

export interface ServersOptions {
  /** DATABASE_URL */
  url: string
  front: Front
  count: number
  /** Makes the servers wrong on purpose, to see whether that is found out. */
  fault: Fault | null
  /** The database was away, as far as that is known: a server that starts then says so and ends. */
  mayFailToStart: () => boolean
  /** One ended though nobody killed it. */
  onDeath: (how: string) => void
}

export class Servers {
  readonly #options: ServersOptions
  readonly #children: (ChildProcess | undefined)[]
  readonly #killed = new WeakSet<ChildProcess>()

  constructor(options: ServersOptions) {
    this.#options = options
    this.#children = Array.from({ length: options.count }, () => undefined)
  }

  /** @returns whether it listens; else it has ended */
  async start(at: number): Promise<boolean> {
    const { url, front, fault, onDeath, mayFailToStart } = this.#options
    const wrong = fault === null ? [] : ['--import', faulty(url)]
    const child = spawn(process.execPath, [...wrong, BIN, 'serve', '--port', '0'], {
      env: {
        PATH: process.env['PATH'],
        ...Object.fromEntries(Object.entries(SETTINGS).map(([name, n]) => [name, String(n)])),
        ...{ DATABASE_URL: url, LOG_LEVEL: 'error', FAULT: fault ?? '' },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children[at] = child
    let port: number | undefined
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT)
    })
    const listening = new Promise<true>((resolve) => {
      createInterface(child.stdout).on('line', (line) => {
        const [, found] = /listens on http:\S+:(\d+)/.exec(line) ?? []
        if (found === undefined) return
        port = Number(found)
        front.add(port)
        resolve(true)
      })
    })
    const ended = once(child, 'exit').then(([code, signal]) => {
      if (port !== undefined) front.remove(port)
      const isMeant = this.#killed.has(child) && (signal === 'SIGKILL' || code === 0)
      const isExcused = port === undefined && code === 1 && mayFailToStart()
      if (!isMeant && !isExcused) onDeath(`${signal ?? `exit code ${code}`}: ${stderr}`)
      return false
    })
    return await Promise.race([listening, ended])
  }

  /** SIGKILL: wherever it is. SIGTERM: it is to leave in order. */
  async kill(at: number, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#children[at]
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    this.#killed.add(child)
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#children.map((_, at) => this.kill(at)))
  }
}
