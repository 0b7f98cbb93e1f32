import type { Demands } from './demands.ts'
import type { Feed } from './feed.ts'
import type { Insight } from './insight.ts'
import type { Metrics } from './metrics.ts'
import type { Overview } from './overview.ts'
import type { RunStatus, Timestamp } from './run.ts'
import type { LiveRunEvent } from './run-event.ts'
import type { RunQueue } from './run-queue.ts'
import type { Runners } from './runners.ts'
import type { SessionFeed } from './session-change.ts'
import type { Sessions } from './sessions.ts'
import type { Storage } from './storage.ts'
import type { Tokens } from './tokens.ts'

/**
 * - `full`: a commit is on the disk before it is acknowledged.
 * - `normal`: a power cut may take the last moments; a crash of the process takes nothing.
 */
export const DURABILITIES = ['full', 'normal'] as const
export type Durability = (typeof DURABILITIES)[number]

/** A database that holds the queue. The engines (SQLite, …) implement it; nothing else differs. */
export interface Engine {
  readonly runs: RunQueue
  readonly sessions: Sessions
  readonly runners: Runners
  readonly storage: Storage
  readonly tokens: Tokens
  /** The history of all runs, as it goes on. */
  readonly runFeed: Feed<LiveRunEvent>
  readonly sessionFeed: SessionFeed
  readonly insight: Insight
  readonly overview: Overview
  readonly metrics: Metrics
  readonly changes: Changes
  /** Finishes the writes at hand and closes the connections. */
  close(): Promise<void>
}

/** Tells what was committed, by this process or any other. A hint: it may come late or be lost. */
export interface Changes {
  /**
   * Calls back after commits until the returned function is called: of all that is committed after
   * the answer to whatever this engine is asked next. So who subscribes, then looks, misses nothing.
   * Nothing is watched while nobody subscribes.
   */
  subscribe(listener: (news: News) => void): () => void
}

export interface News {
  /** Runs that were added, became available, or changed status or demands, in order of commit. */
  runs: RunNews[]
  /** Runners that have something to hear: a stop, their deregistration, that they were removed. */
  runner_ids: string[]
  /** Sessions changed, where that is written down; see `Engine.sessionFeed`. */
  sessions: boolean
}

export interface RunNews {
  run_id: string
  status: RunStatus
  demands: Demands | null
  /** Set: it is not claimable yet. */
  available_at: Timestamp | null
}
