/** Deletes what was kept long enough, and gives back the room, without being in anybody's way. */
import { pause } from './pause.ts'
import type { Timestamp } from './queue/run.ts'
import type { Storage } from './queue/storage.ts'
import { addSeconds } from './queue/time.ts'

/** Deleting so many runs takes some 7 ms with its commit (SQLite) … */
export const PRUNE_BATCH = 200
/** … and then others have the database to themselves for a while: 7 000 runs a second at most. */
const PAUSE_MS = 20

export interface RetentionOptions {
  engine: { storage: Storage }
  retentionSeconds: number
  now: () => Timestamp
  onSwept: (what: string, facts: Record<string, unknown>) => void
  signal: AbortSignal
}

export async function deleteOld(options: RetentionOptions): Promise<void> {
  const { engine, retentionSeconds, now, onSwept, signal } = options
  const before = addSeconds(now(), -retentionSeconds)
  const deleted = { runs: 0, sessions: 0, events: 0 }
  let after: string | undefined
  do {
    const pruned = await engine.storage.prune({ before, limit: PRUNE_BATCH, after })
    deleted.runs += pruned.runs
    deleted.sessions += pruned.sessions
    deleted.events += pruned.events
    after = pruned.next ?? undefined
    if (after) await pause(PAUSE_MS, signal)
  } while (after && !signal.aborted)
  if (deleted.runs + deleted.events > 0) onSwept('kept long enough, deleted', deleted)

  let bytes = 0
  while (!signal.aborted) {
    const given = await engine.storage.giveBack()
    if (given === 0) break
    bytes += given
    await pause(PAUSE_MS / 2, signal)
  }
  if (bytes > 0) onSwept('room given back to the file system', { bytes })
}
