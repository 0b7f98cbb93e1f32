import type { Timestamp } from './run.ts'
import type { RunChange } from './run-change.ts'
import type { NewRunner, Runner } from './runner.ts'
import type { Caller } from './token.ts'

/**
 * The registry of runners. A runner belongs to the token that registered it: where a `caller` is
 * given that is neither it nor an admin, QueueError `runner_not_yours`; `runner_not_registered`
 * where it was registered without a token and must be again with one; `invalid_token` where the
 * caller's own was revoked meanwhile.
 */
export interface Runners {
  /**
   * Registers a runner, or takes one back whose last heartbeat is not after `staleBefore`: tags and
   * executor are replaced where given, a mark for removal is dropped. It belongs to the caller then.
   * One whose token can no longer be used, or that had none where the caller has, is taken over at
   * once: its process cannot call any more.
   * @throws QueueError duplicate_runner while a runner with this id is online; runner_not_yours
   *   where it is another usable token's, online or not
   */
  register(
    runner: NewRunner,
    now: Timestamp,
    staleBefore: Timestamp,
    caller?: Caller | null,
  ): Promise<Runner>
  get(runner_id: string): Promise<Runner | null>
  /** In order of registration, at most `limit`. */
  list(limit: number): Promise<Runner[]>
  /** @throws QueueError runner_not_registered */
  heartbeat(runner_id: string, now: Timestamp, caller?: Caller | null): Promise<void>
  /** Marks for removal; it is told at its next poll. @throws QueueError runner_not_found */
  deregister(runner_id: string, now: Timestamp): Promise<void>
  /**
   * Removes a runner. Its claimed runs are pending again; its running ones fail, or are pending
   * again where their on_lost says so, and their sessions follow; a stop is taken as done; sessions
   * that were idle with it are finished.
   * @returns what changed, the runs that parents got too. @throws QueueError runner_not_found
   */
  remove(runner_id: string, now: Timestamp, caller?: Caller | null): Promise<RunChange[]>
  /**
   * Removes runners whose last heartbeat is not after `silentSince`. One that is as far ahead of
   * `now` counts as of now: the clock was set back.
   */
  removeLost(silentSince: Timestamp, now: Timestamp, limit: number): Promise<LostRunners>
}

export interface LostRunners {
  runner_ids: string[]
  changes: RunChange[]
}
