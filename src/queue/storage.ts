import type { Timestamp } from './run.ts'

/** How long finished runs are kept unless said otherwise. */
export const RETENTION_SECONDS = 7 * 24 * 3600

export interface PruneOptions {
  /** Finished runs whose completed_at is before go. */
  before: Timestamp
  /** How many finished runs one call looks at in a batch. */
  limit: number
  /** `next` of the call before, which went so far; absent: from the oldest on. */
  after?: string | undefined
  /** Only count. */
  dryRun?: boolean
}

/** What one call deleted, and from where the next one goes on; null: it was the last. */
export interface Pruned {
  runs: number
  sessions: number
  next: string | null
}

/** What is stored for how long, and the room that it takes. */
export interface Storage {
  /**
   * Deletes finished runs from before, oldest first, with their idempotency keys. The newest run of
   * a session stays while the session is at hand (pending, running, idle or stopping); a session
   * that is not goes with its last run, and its events with it. A run takes its history along.
   */
  prune(options: PruneOptions): Promise<Pruned>
  /**
   * Gives some of the room that deleted rows left back to the file system: a bit in each call, so
   * that nobody waits for it. @returns how many bytes; 0 where it is too little to be worth it.
   */
  giveBack(): Promise<number>
}
