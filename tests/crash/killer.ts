/** Kills a process every now and then, and starts another in its place; cuts connections, too. */
import { pause } from '../../src/load/timing.ts'
import type { Crew } from './crew.ts'
import type { Front } from './front.ts'
import type { Servers } from './servers.ts'
import type { Store } from './store.ts'

export interface Kills {
  server_kills: number
  runner_kills: number
  database_kills: number
  cuts: number
}

/** So long between one blow and the next. */
export interface Pace {
  gap_ms: { least: number; most: number }
}

interface KillerOptions {
  servers: Servers
  crew: Crew
  front: Front
  store: Pick<Store, 'crash'>
  random: () => number
  size: Pace & { servers: number; runners: number }
}

/** How many of the servers, of 1, are asked to leave instead. */
const LEAVING = 0.15
/** A process comes back so much later. */
const DOWN_MS = 250
/** Where the database is away, a server says so and ends: it is started again so often. */
const STARTS = 20
const DATABASE = 'database'

export class Killer {
  readonly kills: Kills = { server_kills: 0, runner_kills: 0, database_kills: 0, cuts: 0 }
  readonly #options: KillerOptions
  /** Those that are down or coming up: to kill them again proves nothing. */
  readonly #busy = new Map<string, Promise<void>>()

  constructor(options: KillerOptions) {
    this.#options = options
  }

  /** Resolves when it is over and everything is up again. */
  async work(over: AbortSignal): Promise<void> {
    const { random, front, store } = this.#options
    const { servers, runners, gap_ms } = this.#options.size
    const one = (count: number) => Math.floor(random() * count)
    while (!over.aborted) {
      await pause(gap_ms.least + random() * (gap_ms.most - gap_ms.least), over)
      if (over.aborted) break
      const dice = random()
      if (dice < 0.4) this.#killServer(one(servers), over)
      else if (dice < 0.48) for (let at = 0; at < servers; at += 1) this.#killServer(at, over)
      else if (dice < 0.65) this.#killRunners(one(runners), over)
      else if (dice < 0.75 && store.crash) this.#crashDatabase(store.crash)
      else {
        front.cut()
        this.kills.cuts += 1
      }
    }
    await Promise.all(this.#busy.values())
  }

  #killServer(at: number, over: AbortSignal): void {
    const { servers, random } = this.#options
    this.#once(`server ${at}`, async () => {
      if (random() < LEAVING) await servers.kill(at, 'SIGTERM')
      else {
        this.kills.server_kills += 1
        await servers.kill(at)
      }
      await pause(random() * DOWN_MS, over)
      await this.#start(at)
    })
  }

  async #start(at: number): Promise<void> {
    const { servers, store } = this.#options
    for (let starts = 0; starts < STARTS && !(await servers.start(at)); starts += 1) {
      if (store.crash === null) return
      await this.#busy.get(DATABASE)
    }
  }

  #crashDatabase(crash: NonNullable<Store['crash']>): void {
    this.#once(DATABASE, async () => {
      this.kills.database_kills += 1
      await crash(this.#options.random)
    })
  }

  #killRunners(at: number, over: AbortSignal): void {
    const { crew, random } = this.#options
    this.#once(`runners ${at}`, async () => {
      this.kills.runner_kills += 1
      await crew.kill(at)
      await pause(random() * DOWN_MS, over)
      crew.start(at)
    })
  }

  #once(name: string, work: () => Promise<void>): void {
    if (this.#busy.has(name)) return
    this.#busy.set(
      name,
      work().finally(() => this.#busy.delete(name)),
    )
  }
}
