/** Puts the parts of the SQLite engine together. */
import type { Durability, Engine } from '../queue/engine.ts'
import { ChangeSignal } from './change-signal.ts'
import { Checkpointer } from './checkpointer.ts'
import { CommitLane } from './commit-lane.ts'
import { type Orm, openDatabase, openWatcher } from './database.ts'
import { prepareFollow } from './follow.ts'
import { createRunQueue } from './run-queue.ts'
import { createRunners, prepareRegistry } from './runners.ts'
import { createSessions } from './sessions.ts'
import { prepareStops } from './stop.ts'
import { prepareSweeps } from './sweep.ts'

export interface SqliteOptions {
  /** `file:./data/runqueue.db` */
  url: string
  durability?: Durability
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
    ...prepareEngine(orm, lane),
    changes,
    async close() {
      await lane.drained()
      changes.close()
      await checkpointer.close()
      client.pragma('wal_checkpoint(TRUNCATE)')
      client.close()
    },
  }
}

/** What the queue can do, with every statement prepared. */
export function prepareEngine(orm: Orm, lane: CommitLane): Omit<Engine, 'changes' | 'close'> {
  const follow = prepareFollow(orm)
  const stops = prepareStops(orm, follow)
  const sweeps = prepareSweeps(orm, follow)
  const registry = prepareRegistry(orm, sweeps)
  return {
    runs: createRunQueue({ orm, lane, follow, stops, sweeps, registry }),
    sessions: createSessions({ orm, lane, follow, stops }),
    runners: createRunners(orm, lane, registry),
  }
}
