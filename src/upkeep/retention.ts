/** Deletes what was kept long enough, and gives back the room, without being in anybody's way. */
import type { Engine } from '../queue/engine.ts'
import type { Timestamp } from '../queue/run.ts'
import { addSeconds } from '../queue/time.ts'
import { foldAll } from './folding.ts'
import { pause } from './pause.ts'

/** Deleting so many runs takes some 7 ms with its commit (SQLite) … */
const BATCH = 200
/** … and then others have the database to themselves for a while: 7 000 runs a second at most. */
const PAUSE_MS = 20
/** A step of giving back takes some 2 ms. */
const STEP_PAUSE_MS = 5

export interface Deleted {
  runs: number
  sessions: number
  /** Given back to the file system. */
  bytes: number
}

export interface PruneAllOptions {
  before: Timestamp
  dryRun?: boolean
  /** Aborted when it is to end early. */
  signal: AbortSignal
  /** Called after each step, with what was done so far. */
  onProgress?: (deleted: Readonly<Deleted>) => void
}

export async function pruneAll(
  { storage, metrics }: Pick<Engine, 'storage' | 'metrics'>,
  options: PruneAllOptions,
): Promise<Deleted> {
  const { before, dryRun = false, signal, onProgress } = options
  const deleted: Deleted = { runs: 0, sessions: 0, bytes: 0 }
  // What was not counted yet would keep the history of what is deleted.
  if (!dryRun) await foldAll(metrics, signal)
  let after: string | undefined
  do {
    const pruned = await storage.prune({ before, limit: BATCH, after, dryRun })
    deleted.runs += pruned.runs
    deleted.sessions += pruned.sessions
    onProgress?.(deleted)
    after = pruned.next ?? undefined
    if (after && !dryRun) await pause(PAUSE_MS, signal)
  } while (after && !signal.aborted)
  while (!dryRun && !signal.aborted) {
    const bytes = await storage.giveBack()
    if (bytes === 0) break
    deleted.bytes += bytes
    onProgress?.(deleted)
    await pause(STEP_PAUSE_MS, signal)
  }
  return deleted
}

export interface RetentionOptions {
  engine: Pick<Engine, 'storage' | 'metrics'>
  retentionSeconds: number
  now: () => Timestamp
  onSwept: (what: string, facts: Record<string, unknown>) => void
  signal: AbortSignal
}

/** One pass of a server. */
export async function deleteOld(options: RetentionOptions): Promise<void> {
  const { engine, retentionSeconds, now, onSwept, signal } = options
  const before = addSeconds(now(), -retentionSeconds)
  const deleted = await pruneAll(engine, { before, signal })
  if (Object.values(deleted).some((count) => count > 0)) {
    onSwept('kept long enough, deleted', { ...deleted })
  }
}
