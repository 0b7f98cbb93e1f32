/**
 * The engine in a thread of its own, behind the same contract: the event loop that serves HTTP
 * never waits for the disk, and both cores work.
 *
 * What people look at is read in another, which is started when somebody first looks. Measured with
 * 100 000 runs pending in 5 000 groups: to explain a run takes 3 to 5 ms, a list of 1 000 runs 16, the
 * plot of an hour 18. With six who reload such things as fast as they can, on two busy cores, a claim
 * over HTTP took 500 ms and more while all was one thread; now 3 ms, and 2 where nobody looks.
 */
import type { Changes, Engine, News } from '../queue/engine.ts'
import { ReadGate, type ReadingPart, readsOf } from '../queue/reads.ts'
import type { Tokens } from '../queue/tokens.ts'
import { type Client, loadDriver } from './driver.ts'
import type { SqliteOptions } from './engine.ts'
import { translating } from './errors.ts'
import { databasePath, openWatcher } from './file.ts'
import { prepareFindToken } from './find-token.ts'
import { startThread, type ThreadCalls } from './thread-calls.ts'

/** So many reads are sent to their thread at once: it has the next at hand when one is done. */
const READS_AT_ONCE = 4

/** Opens the queue in a SQLite file. @throws DatabaseOpenError */
export async function openSqliteThread(options: SqliteOptions): Promise<Engine> {
  const [thread] = await Promise.all([startThread('engine', options), loadDriver()])
  try {
    const reader = await openWatcher(databasePath(options.url))
    return new EngineThread(thread, reader, options).engine
  } catch (error) {
    await thread.close()
    throw error
  }
}

class EngineThread {
  readonly engine: Engine
  readonly #thread: ThreadCalls
  /** For what this thread reads itself. */
  readonly #reader: Client
  readonly #options: SqliteOptions
  readonly #listeners = new Set<(news: News) => void>()
  readonly #gate = new ReadGate(READS_AT_ONCE)
  #reads: Promise<ThreadCalls> | undefined
  #watched: Promise<unknown> = Promise.resolve()

  constructor(thread: ThreadCalls, reader: Client, options: SqliteOptions) {
    this.#thread = thread
    this.#reader = reader
    this.#options = options
    thread.onNews = (news) => this.#tell(news)
    const changes: Changes = { subscribe: (listener) => this.#subscribe(listener) }
    this.engine = {
      runs: this.#methods('runs', this.#readsOf('runs')),
      sessions: this.#methods('sessions', this.#readsOf('sessions')),
      runners: this.#methods('runners', this.#readsOf('runners')),
      storage: this.#methods('storage'),
      runFeed: this.#methods('runFeed'),
      sessionFeed: this.#methods('sessionFeed'),
      insight: this.#methods('insight', this.#readsOf('insight')),
      overview: this.#methods('overview', this.#readsOf('overview')),
      metrics: this.#methods('metrics', this.#readsOf('metrics')),
      // Asked before each request goes on: as a call it would double what goes between the threads.
      tokens: this.#methods<Tokens>(
        'tokens',
        translating({ find: sharingLooks(prepareFindToken(reader)) }),
      ),
      changes,
      close: () => this.#close(),
    }
  }

  /**
   * The methods of one part of the engine; they are asked for by name, so none is listed here.
   * @param other those that the engine's thread does not perform
   */
  #methods<T extends object>(part: string, other: Partial<T> = {}): T {
    const made = new Map<string | symbol, unknown>(Object.entries(other))
    const method = (name: string) => {
      const path = `${part}.${name}`
      return (...given: unknown[]) => this.#thread.call(path, given)
    }
    return new Proxy({} as T, {
      get: (_, name) => {
        if (typeof name !== 'string' || name === 'then') return undefined
        const known = made.get(name) ?? method(name)
        made.set(name, known)
        return known
      },
    })
  }

  #readsOf<Part extends ReadingPart>(part: Part): Partial<Engine[Part]> {
    return readsOf(part, (name, given) =>
      this.#gate.pass(() => this.#read(`${part}.${name}`, given)),
    )
  }

  /** What was acknowledged before is seen: it is committed, and each read begins with the newest. */
  async #read(path: string, given: unknown[]): Promise<unknown> {
    // Who subscribed before misses nothing that comes after this.
    await this.#watched
    const reads = await this.#startReads()
    return await reads.call(path, given)
  }

  /** Those who ask while it starts wait for the same; where that failed the next one tries again. */
  async #startReads(): Promise<ThreadCalls> {
    this.#reads ??= startThread('reads', this.#options)
    const starting = this.#reads
    try {
      return await starting
    } catch (error) {
      if (this.#reads === starting) this.#reads = undefined
      throw error
    }
  }

  #tell(news: News): void {
    // A copy, since listeners come and go meanwhile; who went hears nothing any more.
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) listener(news)
    }
  }

  /** Goes the way of the calls, so that whoever asks afterwards has missed nothing. */
  #subscribe(listener: (news: News) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#watched = this.#thread.call('watch', [])
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) {
        void this.#thread.call('unwatch', [])
      }
    }
  }

  async #close(): Promise<void> {
    this.#reader.close()
    await this.#gate.pass(async () => {})
    // The engine's connection is the last one, which leaves no log behind.
    await (await this.#reads?.catch(() => undefined))?.close()
    await this.#thread.close()
  }
}

/**
 * Requests that come in the same turn of the event loop share a look, which is made after the last
 * of them came: a token that was revoked before a request was sent never passes.
 */
function sharingLooks(find: Tokens['find']): Tokens['find'] {
  let looks = new Map<string | null, ReturnType<Tokens['find']>>()
  let turn: Promise<void> | undefined
  const comesToAnEnd = () =>
    new Promise<void>((resolve) => {
      setImmediate(() => {
        looks = new Map()
        turn = undefined
        resolve()
      })
    })
  return (token_hash) => {
    const shared = looks.get(token_hash)
    if (shared) return shared
    turn ??= comesToAnEnd()
    const look = turn.then(() => find(token_hash))
    looks.set(token_hash, look)
    return look
  }
}
