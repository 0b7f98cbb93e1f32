/** Puts the parts of the SQLite engine together. */
import type { Durability, Engine } from '../queue/engine.ts'
import { MATCH_TIMEOUT_SECONDS } from '../queue/run-queue.ts'
import { prepareAdd } from './add.ts'
import { prepareCallbacks } from './callbacks.ts'
import { ChangeSignal } from './change-signal.ts'
import { Checkpointer } from './checkpointer.ts'
import { CommitLane } from './commit-lane.ts'
import { type Database, openDatabase, openReader } from './database.ts'
import { translating } from './errors.ts'
import { openWatcher } from './file.ts'
import { prepareFollow } from './follow.ts'
import { createInsight } from './insight.ts'
import { prepareMatching } from './matching.ts'
import { createMetrics } from './metrics.ts'
import { createOverview } from './overview.ts'
import { prepareOwnership } from './ownership.ts'
import { preparePendingCount } from './pending-count.ts'
import { createRunFeed } from './run-feed.ts'
import { createRunQueue } from './run-queue.ts'
import { createRunners, prepareRegistry } from './runners.ts'
import { createSessionFeed } from './session-feed.ts'
import { createSessions } from './sessions.ts'
import { prepareStops } from './stop.ts'
import { createStorage } from './storage.ts'
import { prepareSweeps } from './sweep.ts'
import { createTokens } from './tokens.ts'

export interface SqliteOptions {
  /** `file:./data/runqueue.db` */
  url: string
  durability?: Durability
  /** What runs that the service adds itself wait for a match. */
  matchTimeoutSeconds?: number
  /** How long a write waits for a file that another process keeps locked. */
  busyDeadlineMs?: number
}

/** Below the 30 s after which clients give up, above what a backup or a shell holds the lock. */
const BUSY_DEADLINE_MS = 10_000

/** Opens the queue in a SQLite file. @throws DatabaseOpenError */
export async function openSqliteEngine(options: SqliteOptions): Promise<Engine> {
  const { url, durability = 'full', busyDeadlineMs = BUSY_DEADLINE_MS } = options
  const { client, orm, path } = await openDatabase(url, durability)
  const changes = new ChangeSignal(await openWatcher(path), orm)
  const checkpointer = new Checkpointer(client, path)
  const lane = new CommitLane(client, {
    busyDeadlineMs,
    onCommit() {
      changes.nudge()
      checkpointer.afterCommit()
    },
  })
  return {
    ...prepareEngine({ orm, client }, lane, options, () => checkpointer.checkpoint()),
    changes,
    async close() {
      await lane.drained()
      changes.close()
      await checkpointer.close()
      try {
        client.pragma('wal_checkpoint(TRUNCATE)')
      } catch {
        // Nothing is lost: what the log holds is part of the database. Say, the disk is full.
      }
      client.close()
    },
  }
}

/** The same over a connection that can only read. */
export async function openSqliteReads(options: SqliteOptions): Promise<Engine> {
  const { orm, client } = await openReader(options.url)
  const lane = new CommitLane(client, { busyDeadlineMs: 0 })
  return {
    ...prepareEngine({ orm, client }, lane, options, () => {}),
    changes: { subscribe: () => () => {} },
    close: async () => void client.close(),
  }
}

/**
 * What the queue can do, with every statement prepared.
 * @param shorten brings room that was given back to the file
 */
export function prepareEngine(
  { orm, client }: Pick<Database, 'orm' | 'client'>,
  lane: CommitLane,
  { matchTimeoutSeconds = MATCH_TIMEOUT_SECONDS }: Pick<SqliteOptions, 'matchTimeoutSeconds'>,
  shorten: () => void,
): Omit<Engine, 'changes' | 'close'> {
  const pendingCount = preparePendingCount(orm)
  const matching = prepareMatching(orm)
  const adding = prepareAdd(orm, { pendingCount, matching, matchTimeoutSeconds })
  const follow = prepareFollow(orm)
  const callbacks = prepareCallbacks(orm, adding)
  const stops = prepareStops(orm, follow, callbacks)
  const sweeps = prepareSweeps(orm, follow, callbacks)
  const registry = prepareRegistry(orm, sweeps, callbacks)
  const ownership = prepareOwnership(orm)
  return {
    runs: translating(
      createRunQueue({
        ...{ orm, lane, pendingCount, adding, follow, callbacks },
        ...{ stops, sweeps, registry, ownership, matching },
      }),
    ),
    sessions: translating(createSessions({ orm, lane, follow, stops, ownership })),
    runners: translating(createRunners({ orm, lane, callbacks, registry, ownership })),
    tokens: translating(createTokens({ orm, client }, lane)),
    insight: translating(createInsight({ orm, registry, matching })),
    metrics: translating(createMetrics(orm, lane)),
    storage: translating(createStorage({ orm, client }, lane, shorten)),
    runFeed: translating(createRunFeed(orm)),
    sessionFeed: translating(createSessionFeed(orm, lane)),
    overview: translating(createOverview(orm)),
  }
}
