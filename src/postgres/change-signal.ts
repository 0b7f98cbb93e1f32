/**
 * Tells waiting requests what was committed, by this process, another one, or any program that
 * writes the tables.
 *
 * What was committed is read from the tables of events, from snapshot to snapshot, so that nothing
 * is missed and nothing told twice in whatever order transactions commit. When to read is a hint:
 * this process committed, a notification came (LISTEN), or, since a hint may be lost with whoever
 * would have sent it, some time has passed.
 */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Changes, News } from '../queue/engine.ts'
import { CHANNEL, Connection, connect, type Target } from './database.ts'
import { feedEnd, type Position, readFeed } from './feed.ts'

/** A lost hint costs so much. */
const LOOK_INTERVAL_MS = 2_000
/** Hints to other processes are so far apart: one is enough for all commits in between. */
const HINT_INTERVAL_MS = 5
const RECONNECT_MS = 200
const RECONNECT_MAX_MS = 2_000

interface Options {
  target: Target
  /** Connected already, so that whoever opens the engine hears at once where that fails. */
  client: pg.Client
  /** Sends a hint to the other processes. */
  hint: () => Promise<void>
}

export class ChangeSignal implements Changes {
  readonly #options: Options
  readonly #listeners = new Set<(news: News) => void>()
  #client: pg.Client | undefined
  /** Where nobody subscribes: undefined, and nothing is read. */
  #position: Position | undefined
  /** Counts the times that somebody began to listen: what belongs to an earlier one is dropped. */
  #watch = 0
  #starting: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #reconnecting = false
  #looking = false
  #lookAgain = false
  #hinting = false
  #hintAgain = false
  #closed = false
  /** What was asked of the connection last. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: Options) {
    this.#options = options
    this.#adopt(options.client)
  }

  subscribe(listener: (news: News) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#start()
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop()
    }
  }

  /** Who subscribes, then asks, misses nothing: what is asked waits until it is known from where. */
  async ready(): Promise<void> {
    await this.#starting
  }

  /** This process committed. */
  nudge(): void {
    this.#look()
    this.#hint()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stop()
    this.#listeners.clear()
    await this.#starting
    await this.#client?.end()
  }

  #start(): void {
    this.#watch += 1
    const watch = this.#watch
    this.#starting = this.#begin(watch)
      .catch(() => this.#reconnect())
      .finally(() => {
        if (this.#watch === watch) this.#starting = undefined
      })
  }

  #stop(): void {
    this.#watch += 1
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#position = undefined
    const client = this.#client
    if (client) this.#inTurn(() => client.query(`UNLISTEN ${CHANNEL}`)).catch(() => {})
  }

  /** From now on, or from where it was read to before the connection was lost. */
  async #begin(watch: number): Promise<void> {
    const client = this.#client ?? (await this.#connect())
    const position = await this.#inTurn(async () => {
      await client.query(`LISTEN ${CHANNEL}`)
      return this.#position ?? (await feedEnd(new Connection(client)))
    })
    if (this.#watch !== watch) return
    this.#position = position
    this.#lookLater()
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client(this.#options.target.config)
    this.#adopt(client)
    try {
      await connect(client, this.#options.target)
    } catch (error) {
      this.#lose(client)
      throw error
    }
    return client
  }

  #adopt(client: pg.Client): void {
    this.#client = client
    client.on('notification', () => this.#look())
    client.on('error', () => this.#lose(client))
    client.on('end', () => this.#lose(client))
  }

  #lose(client: pg.Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    client.end().catch(() => {})
    if (!this.#closed && this.#starting === undefined && this.#listeners.size > 0) {
      this.#reconnect()
    }
  }

  /** In the background, until it succeeds; then at once a look at what was missed. */
  #reconnect(): void {
    if (this.#reconnecting) return
    this.#reconnecting = true
    void this.#tryToBegin().finally(() => {
      this.#reconnecting = false
    })
  }

  async #tryToBegin(): Promise<void> {
    for (let wait = RECONNECT_MS; ; wait = Math.min(2 * wait, RECONNECT_MAX_MS)) {
      await pause(wait * (0.5 + Math.random()))
      if (this.#closed || this.#listeners.size === 0) return
      try {
        await this.#begin(this.#watch)
        this.#look()
        return
      } catch {
        // Requests meet the same, and say so.
      }
    }
  }

  /** One after the other: pg is to refuse what is asked of a connection that is at work. */
  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(ask)
    this.#turn = answer.catch(() => {})
    return answer
  }

  #lookLater(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(), LOOK_INTERVAL_MS)
  }

  #look(): void {
    if (this.#looking) {
      this.#lookAgain = true
      return
    }
    if (this.#position === undefined || this.#client === undefined) return
    this.#looking = true
    const { client, watch } = { client: this.#client, watch: this.#watch }
    this.#lookAgain = false
    void this.#read(client, this.#position, watch)
      // The position is unchanged, and the next look reads from there: by another connection, since
      // this one may be cut without a word.
      .catch(() => this.#lose(client))
      .finally(() => {
        this.#looking = false
        if (this.#lookAgain) this.#look()
        else if (this.#position !== undefined) this.#lookLater()
      })
  }

  async #read(client: pg.Client, from: Position, watch: number): Promise<void> {
    const { position, changed, runner_ids, sessions, more } = await this.#inTurn(() =>
      readFeed(new Connection(client), from),
    )
    if (this.#watch !== watch) {
      this.#lookAgain = true
      return
    }
    this.#position = position
    if (more) this.#lookAgain = true
    if (changed.length === 0 && runner_ids.length === 0 && !sessions) return
    this.#tell({ runs: changed, runner_ids, sessions })
  }

  #tell(news: News): void {
    // A copy, since listeners come and go meanwhile; who went hears nothing any more.
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) listener(news)
    }
  }

  #hint(): void {
    if (this.#hinting) {
      this.#hintAgain = true
      return
    }
    this.#hinting = true
    this.#hintAgain = false
    void this.#options
      .hint()
      .catch(() => {})
      .then(() => pause(HINT_INTERVAL_MS))
      .then(() => {
        this.#hinting = false
        if (this.#hintAgain && !this.#closed) this.#hint()
      })
  }
}
