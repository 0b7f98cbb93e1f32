/**
 * Tells waiting requests what was committed, by this process, another one, or any program that
 * writes the file.
 *
 * `PRAGMA data_version` on a connection that never writes changes with every commit of any other
 * connection, and costs less than a microsecond, so one watcher per process looks every few
 * milliseconds while anybody waits, however many wait. Only when it changed are the events read.
 */
import { sql } from 'drizzle-orm'
import type { Changes, News } from '../queue/engine.ts'
import type { Orm } from './database.ts'
import type { Client } from './driver.ts'
import { runEvents, runners, runs, sessions } from './schema.ts'
import { param } from './statements.ts'

/** How often the watcher looks: half of it is what a waiter waits longer on average. */
const WATCH_INTERVAL_MS = 5
/** What one look reads at most; the next turn of the event loop reads on. */
const NEWS_LIMIT = 500

export class ChangeSignal implements Changes {
  readonly #client: Client
  readonly #readVersion: () => unknown
  readonly #readLastEvent: () => number
  readonly #readNews: (after: number) => { news: News; last: number; more: boolean }
  readonly #listeners = new Set<(news: News) => void>()
  #timer: NodeJS.Timeout | undefined
  #lookScheduled = false
  #version: unknown
  #lastEvent = 0

  /** @param watcher a connection of its own, which must not write */
  constructor(watcher: Client, orm: Orm) {
    this.#client = watcher
    const version = watcher.prepare('PRAGMA data_version').pluck()
    this.#readVersion = () => version.get()
    const { lastEvent, readNews } = prepareNews(orm)
    this.#readLastEvent = lastEvent
    this.#readNews = readNews
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
    this.#version = this.#readVersion()
    this.#lastEvent = this.#readLastEvent()
    this.#timer = setInterval(() => this.#look(), WATCH_INTERVAL_MS)
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (this.#timer === undefined) return
    try {
      const version = this.#readVersion()
      if (version === this.#version) return
      const { news, last, more } = this.#readNews(this.#lastEvent)
      this.#lastEvent = last
      if (more) this.nudge()
      else this.#version = version
      if (news.runs.length === 0 && news.runner_ids.length === 0) return
      for (const listener of [...this.#listeners]) listener(news)
    } catch {
      // A hint may be lost: the database is locked or gone for the moment, and the requests that
      // meet it say so. The version is unchanged, so the next look tries again.
    }
  }
}

function prepareNews(orm: Orm) {
  const lastEvent = orm
    .select({ event_id: sql<number>`coalesce(max(${runEvents.event_id}), 0)` })
    .from(runEvents)
    .prepare()

  const events = orm
    .select({
      event_id: runEvents.event_id,
      run_id: runs.run_id,
      status: runEvents.to_status,
      demands: runs.demands,
    })
    .from(runEvents)
    .innerJoin(runs, sql`${runs.seq} = ${runEvents.run_seq}`)
    .where(sql`${runEvents.event_id} > ${param('after')}`)
    .orderBy(runEvents.event_id)
    .limit(NEWS_LIMIT)
    .prepare()

  // Three partial indexes that are empty but for the moment between a request and its delivery.
  const signalled = orm
    .select({ runner_id: sql<string>`runner_id` })
    .from(
      sql`(SELECT runner_id FROM ${runs} WHERE status = 'stopping' AND stop_sent_at IS NULL
        UNION SELECT runner_id FROM ${sessions} WHERE status = 'stopping' AND stop_sent_at IS NULL
        UNION SELECT runner_id FROM ${runners} WHERE deregistered_at IS NOT NULL)`,
    )
    .where(sql`runner_id IS NOT NULL`)
    .limit(NEWS_LIMIT)
    .prepare()

  return {
    lastEvent: () => lastEvent.get()?.event_id ?? 0,

    readNews(after: number): { news: News; last: number; more: boolean } {
      const rows = events.all({ after })
      return {
        news: { runs: rows, runner_ids: signalled.all().map((row) => row.runner_id) },
        last: rows.at(-1)?.event_id ?? after,
        more: rows.length === NEWS_LIMIT,
      }
    },
  }
}
