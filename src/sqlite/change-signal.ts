/**
 * Tells waiting requests what was committed, by this process, another one, or any program that
 * writes the file.
 *
 * `PRAGMA data_version` on a connection that never writes changes with every commit of any other
 * connection, and costs less than a microsecond, so one watcher per process looks every few
 * milliseconds while anybody waits, however many wait. Only when it changed are the events read.
 */
import { sql } from '../drizzle.ts'
import type { Changes, News } from '../queue/engine.ts'
import type { Orm } from './database.ts'
import type { Client } from './driver.ts'
import { runEvents, runnerSignals, runs, sessionChanges } from './schema.ts'
import { atMost, param } from './statements.ts'

/**
 * How often the watcher looks: half of it is what a waiter waits longer on average. A timer every
 * 5 ms costs 1.6 % of a core whatever it does (`npm run bench waiting`), so where nothing was
 * committed for a while it rests a little longer between looks.
 */
const WATCH_INTERVAL_MS = 5
const QUIET_INTERVAL_MS = 10
const QUIET_AFTER_LOOKS = 400
/** What one look reads at most; the next turn of the event loop reads on. */
const NEWS_LIMIT = 500

export class ChangeSignal implements Changes {
  readonly #client: Client
  readonly #readVersion: () => unknown
  readonly #feed: Feed
  readonly #listeners = new Set<(news: News) => void>()
  #timer: NodeJS.Timeout | undefined
  #lookScheduled = false
  #version: unknown
  #looksInVain = 0
  /** How far the feed was read; null until its end was found. */
  #position: Position | null = null

  /** @param watcher a connection of its own, which must not write */
  constructor(watcher: Client, orm: Orm) {
    this.#client = watcher
    const version = watcher.prepare('PRAGMA data_version').pluck()
    this.#readVersion = () => version.get()
    this.#feed = prepareFeed(orm)
  }

  subscribe(listener: (news: News) => void): () => void {
    if (this.#listeners.size === 0) this.#start()
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  /** This process committed: look in this turn of the event loop instead of at the next interval. */
  nudge(): void {
    if (this.#lookScheduled || this.#listeners.size === 0) return
    this.#lookScheduled = true
    setImmediate(() => {
      this.#lookScheduled = false
      this.#look()
    })
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
    this.#client.close()
  }

  #start(): void {
    this.#position = null
    this.#looksInVain = 0
    this.#attempt(() => this.#findEnd())
    this.#lookLater()
  }

  #findEnd(): void {
    this.#version = this.#readVersion()
    this.#position = this.#feed.end()
  }

  /**
   * A hint may be lost: the database is locked or gone for the moment, and the requests that meet
   * it say so. The version is unchanged then, so the next look tries again.
   */
  #attempt(read: () => void): void {
    try {
      read()
    } catch {}
  }

  #lookLater(): void {
    const quiet = this.#looksInVain > QUIET_AFTER_LOOKS
    this.#timer = setTimeout(
      () => {
        this.#look()
        if (this.#timer !== undefined) this.#lookLater()
      },
      quiet ? QUIET_INTERVAL_MS : WATCH_INTERVAL_MS,
    )
  }

  #stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (this.#timer === undefined) return
    this.#attempt(() => (this.#position === null ? this.#findEnd() : this.#readOn(this.#position)))
  }

  #readOn(from: Position): void {
    const version = this.#readVersion()
    this.#looksInVain += 1
    if (version === this.#version) return
    this.#looksInVain = 0
    const { news, position, more } = this.#feed.read(from)
    this.#position = position
    if (more) this.nudge()
    else this.#version = version
    if (news.runs.length === 0 && news.runner_ids.length === 0 && !news.sessions) return
    // A copy, since listeners come and go meanwhile; who went hears nothing any more.
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) listener(news)
    }
  }
}

/** How far the feed was read. */
interface Position {
  event_id: number
  signal_id: number
  change_id: number
}

type Feed = ReturnType<typeof prepareFeed>

function prepareFeed(orm: Orm) {
  const lastChange = sql<number>`(SELECT coalesce(max(change_id), 0) FROM ${sessionChanges})`
  const end = orm
    .select({
      event_id: sql<number>`(SELECT coalesce(max(event_id), 0) FROM ${runEvents})`,
      signal_id: sql<number>`(SELECT coalesce(max(signal_id), 0) FROM ${runnerSignals})`,
      change_id: lastChange,
    })
    .from(sql`(SELECT 1)`)
    .prepare()

  const events = orm
    .select({
      event_id: runEvents.event_id,
      run_id: runs.run_id,
      status: runEvents.to_status,
      runner_id: runEvents.runner_id,
      demands: runs.demands,
      available_at: runs.available_at,
    })
    .from(runEvents)
    .innerJoin(runs, sql`${runs.seq} = ${runEvents.run_seq}`)
    .where(sql`${runEvents.event_id} > ${param('event_id')}`)
    .orderBy(runEvents.event_id)
    .limit(atMost(NEWS_LIMIT))
    .prepare()

  const signals = orm
    .select()
    .from(runnerSignals)
    .where(sql`signal_id > ${param('signal_id')}`)
    .orderBy(runnerSignals.signal_id)
    .limit(atMost(NEWS_LIMIT))
    .prepare()

  const sessionsChanged = orm.select({ change_id: lastChange }).from(sql`(SELECT 1)`).prepare()

  return {
    end: (): Position => end.get() ?? { event_id: 0, signal_id: 0, change_id: 0 },

    read(after: Position): { news: News; position: Position; more: boolean } {
      const changed = events.all({ ...after })
      const signalled = signals.all({ ...after })
      const change_id = sessionsChanged.get()?.change_id ?? 0
      const toStop = changed.filter(({ status }) => status === 'stopping')
      const runner_ids = [...toStop, ...signalled].flatMap(({ runner_id }) => runner_id ?? [])
      return {
        news: { runs: changed, runner_ids, sessions: change_id > after.change_id },
        position: {
          event_id: changed.at(-1)?.event_id ?? after.event_id,
          signal_id: signalled.at(-1)?.signal_id ?? after.signal_id,
          change_id,
        },
        more: changed.length === NEWS_LIMIT || signalled.length === NEWS_LIMIT,
      }
    },
  }
}
