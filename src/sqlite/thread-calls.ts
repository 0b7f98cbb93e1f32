/**
 * Calls to a worker thread. Calls and answers go as JSON text, several in one message, since a message
 * costs some 50 µs whatever it holds, and text is cloned in half the time of objects.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { News } from '../queue/engine.ts'
import { DatabaseOpenError, QueueError, type QueueErrorCode } from '../queue/errors.ts'
import type { SqliteOptions } from './engine.ts'

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
/** What a thread opens: the engine, or a connection for reads. */
export type Role = 'engine' | 'reads'

/** So many calls go as one message at once: the thread works on them while more are read. */
const CALLS_PER_MESSAGE = 16

interface Waiting {
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

/** @throws DatabaseOpenError */
export async function startThread(role: Role, options: SqliteOptions): Promise<ThreadCalls> {
  const extension = extname(new URL(import.meta.url).pathname)
  const host = new URL(`./thread-host${extension}`, import.meta.url).href
  const worker = new Worker(new URL('./thread-worker.mjs', import.meta.url), {
    workerData: { host, role, options },
  })
  const opening = await new Promise<Opening>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  worker.removeAllListeners('error')
  if ('refused' in opening) throw new DatabaseOpenError(opening.refused)
  if ('failed' in opening) throw new Error(opening.failed)
  return new ThreadCalls(worker)
}

export class ThreadCalls {
  /** Hears of changes, where the thread was asked to watch. */
  onNews: (news: News) => void = () => {}
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls: Call[] = []
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #lastId = 0

  /**
   * An error that the thread does not catch ends the process, as it would without a thread: the
   * database is the only state, so whoever supervises starts another.
   */
  constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (text: string) => {
      for (const message of JSON.parse(text) as Message[]) this.#hear(message)
      if (this.#timer !== undefined) this.#send()
    })
  }

  call(method: string, given: unknown[]): Promise<unknown> {
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
      this.onNews(message[2])
      return
    }
    const waiting = this.#waiting.get(message[0])
    this.#waiting.delete(message[0])
    if (message[1] === 'returned') waiting?.resolve(message[2] as never)
    else waiting?.reject(errorOf(message))
  }

  /** When all that was called for is done. */
  async close(): Promise<void> {
    await this.call('close', [])
    await this.#worker.terminate()
  }
}

function errorOf(message: Exclude<Message, [unknown, 'returned' | 'news', ...unknown[]]>): Error {
  if (message[1] === 'failed') return Object.assign(new Error(message[2]), { stack: message[3] })
  const [, , code, said, facts] = message
  return new QueueError(code, said, { facts })
}
