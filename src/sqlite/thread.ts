/**
 * The engine in a thread of its own, behind the same contract: the event loop that serves HTTP
 * never waits for the disk, and both cores work.
 *
 * Calls and answers go as JSON text, several in one message, since a message costs some 50 µs
 * whatever it holds, and text is cloned in half the time of objects.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Changes, Engine, News } from '../queue/engine.ts'
import { DatabaseOpenError, QueueError, type QueueErrorCode } from '../queue/errors.ts'
import type { Tokens } from '../queue/tokens.ts'
import { type Database, openReader } from './database.ts'
import type { SqliteOptions } from './engine.ts'
import { translating } from './errors.ts'
import { prepareFindToken } from './tokens.ts'

/** A call: its number, the method (`runs.add`) and what it is given. */
export type Call = [id: number, method: string, given: unknown[]]
/** What a call came to, or news for those who listen to changes. */
export type Message =
  | [id: number, outcome: 'returned', value?: unknown]
  | [id: number, outcome: 'refused', code: QueueErrorCode, message: string, facts: Facts]
  | [id: number, outcome: 'failed', message: string, stack: string | undefined]
  | [id: null, outcome: 'news', news: News]
type Facts = Record<string, unknown>

/** What the thread says first: that it is ready, or why not. */
export type Opening = { ready: true } | { refused: string } | { failed: string }

/** So many calls go as one message at once: the thread works on them while more are read. */
const CALLS_PER_MESSAGE = 16

interface Waiting {
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

/** Opens the queue in a SQLite file. @throws DatabaseOpenError */
export async function openSqliteThread(options: SqliteOptions): Promise<Engine> {
  const worker = startWorker(options)
  const opening = await new Promise<Opening>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  worker.removeAllListeners('error')
  if ('refused' in opening) throw new DatabaseOpenError(opening.refused)
  if ('failed' in opening) throw new Error(opening.failed)
  try {
    return new EngineThread(worker, await openReader(options.url)).engine
  } catch (error) {
    await worker.terminate()
    throw error
  }
}

function startWorker(options: SqliteOptions): Worker {
  const extension = extname(new URL(import.meta.url).pathname)
  const host = new URL(`./thread-host${extension}`, import.meta.url).href
  return new Worker(new URL('./thread-worker.mjs', import.meta.url), {
    workerData: { host, options },
  })
}

/** A connection for what this thread reads itself. */
type Reader = Pick<Database, 'client' | 'orm'>

class EngineThread {
  readonly engine: Engine
  readonly #worker: Worker
  readonly #reader: Reader
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Set<(news: News) => void>()
  #calls: Call[] = []
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #lastId = 0

  /**
   * An error that the thread does not catch ends the process, as it would without a thread: the
   * database is the only state, so whoever supervises starts another.
   */
  constructor(worker: Worker, reader: Reader) {
    this.#worker = worker
    this.#reader = reader
    worker.on('message', (text: string) => {
      for (const message of JSON.parse(text) as Message[]) this.#hear(message)
      if (this.#timer !== undefined) this.#send()
    })
    const changes: Changes = { subscribe: (listener) => this.#subscribe(listener) }
    this.engine = {
      runs: this.#methods('runs'),
      sessions: this.#methods('sessions'),
      runners: this.#methods('runners'),
      storage: this.#methods('storage'),
      runFeed: this.#methods('runFeed'),
      sessionFeed: this.#methods('sessionFeed'),
      insight: this.#methods('insight'),
      overview: this.#methods('overview'),
      metrics: this.#methods('metrics'),
      // Asked before each request goes on: as a call it would double what goes between the threads.
      tokens: this.#methods<Tokens>(
        'tokens',
        translating({ find: sharingLooks(prepareFindToken(reader.orm)) }),
      ),
      changes,
      close: () => this.#close(),
    }
  }

  /**
   * The methods of one part of the engine; they are asked for by name, so none is listed here.
   * @param here those that this thread performs itself
   */
  #methods<T extends object>(part: string, here: Partial<T> = {}): T {
    const made = new Map<string | symbol, unknown>(Object.entries(here))
    const method = (name: string) => {
      const path = `${part}.${name}`
      return (...given: unknown[]) => this.#call(path, given)
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

  #call(method: string, given: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#lastId += 1
      this.#waiting.set(this.#lastId, { resolve, reject })
      this.#calls.push([this.#lastId, method, given])
      if (this.#calls.length >= CALLS_PER_MESSAGE) this.#send()
      else if (!this.#scheduled) {
        this.#scheduled = true
        setImmediate(() => this.#sendSoon())
      }
    })
  }

  /** While the thread is at work, more may come; its answers, or a millisecond, end the waiting. */
  #sendSoon(): void {
    this.#scheduled = false
    const atWork = this.#waiting.size - this.#calls.length
    if (atWork === 0) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), 1)
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#calls.length === 0) return
    this.#worker.postMessage(JSON.stringify(this.#calls))
    this.#calls = []
  }

  #hear(message: Message): void {
    if (message[1] === 'news') {
      // A copy, since listeners come and go meanwhile; who went hears nothing any more.
      for (const listener of [...this.#listeners]) {
        if (this.#listeners.has(listener)) listener(message[2])
      }
      return
    }
    const waiting = this.#waiting.get(message[0])
    this.#waiting.delete(message[0])
    if (message[1] === 'returned') waiting?.resolve(message[2] as never)
    else waiting?.reject(errorOf(message))
  }

  /** Goes the way of the calls, so that whoever asks afterwards has missed nothing. */
  #subscribe(listener: (news: News) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) void this.#call('watch', [])
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) {
        void this.#call('unwatch', [])
      }
    }
  }

  async #close(): Promise<void> {
    this.#reader.client.close()
    await this.#call('close', [])
    await this.#worker.terminate()
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

function errorOf(message: Exclude<Message, [unknown, 'returned' | 'news', ...unknown[]]>): Error {
  if (message[1] === 'failed') return Object.assign(new Error(message[2]), { stack: message[3] })
  const [, , code, said, facts] = message
  return new QueueError(code, said, { facts })
}
