import type { Run, Timestamp } from './run.ts'
import type { NewRunner, Runner } from './runner.ts'

/** The registry of runners. */
export interface Runners {
  /**
   * Registers a runner, or takes one back whose last heartbeat is not after `staleBefore`: tags and
   * executor are replaced where given, a mark for removal is dropped.
   * @throws QueueError duplicate_runner while a runner with this id is online
   */
  register(runner: NewRunner, now: Timestamp, staleBefore: Timestamp): Promise<Runner>
  get(runner_id: string): Promise<Runner | null>
  /** In order of registration, at most `limit`. */
  list(limit: number): Promise<Runner[]>
  /** @throws QueueError runner_not_registered */
  heartbeat(runner_id: string, now: Timestamp): Promise<void>
  /** Marks for removal; it is told at its next poll. @throws QueueError runner_not_found */
  deregister(runner_id: string, now: Timestamp): Promise<void>
  /**
   * Removes a runner. Its claimed runs are pending again; its running ones fail, or are pending
   * again where their on_lost says so, and their sessions follow; a stop is taken as done; sessions
   * that were idle with it are finished.
   * @returns the runs it held. @throws QueueError runner_not_found
   */
  remove(runner_id: string, now: Timestamp): Promise<Run[]>
  /**
   * Removes runners whose last heartbeat is not after `silentSince`. One that is as far ahead of
   * `now` counts as of now: the clock was set back. @returns their ids.
   */
  removeLost(silentSince: Timestamp, now: Timestamp, limit: number): Promise<LostRunner[]>
}

export interface LostRunner {
  runner_id: string
  runs: Run[]
}
