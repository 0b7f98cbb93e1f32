/** The long poll: look; if there is nothing, wait for news; look again. */

import { QueueError } from '../queue/errors.ts'
import { newClaimToken } from '../queue/ids.ts'
import type { ClaimedRun } from '../queue/run.ts'
import type { Stops } from '../queue/runner.ts'
import { addSeconds } from '../queue/time.ts'
import type { Deps } from './deps.ts'
import type { Waiter, WaitingRunners } from './waiting-runners.ts'

export interface Poll {
  runner_id: string
  /** How many runs at most; 0 waits for stops only. */
  limit: number
  claim_key: string | null
  waitSeconds: number
  /** Aborts when the client goes away. */
  signal: AbortSignal
}

export type PollAnswer =
  | { kind: 'nothing' }
  | { kind: 'deregistered' }
  | { kind: 'stops'; stops: Stops }
  | { kind: 'runs'; runs: ClaimedRun[] }

/** Behind the change signal, in case a hint was lost: spread, so that waiters do not look at once. */
const LOOK_AGAIN_MS = { least: 8_000, most: 12_000 }
/** A runner is busy for some seconds while it stops a process, and does not confirm before. */
const STOP_RESEND_SECONDS = 30

const NOTHING: PollAnswer = { kind: 'nothing' }

/** @throws QueueError runner_not_registered */
export async function poll(
  { engine, now, closing }: Deps,
  waiting: WaitingRunners,
  request: Poll,
): Promise<PollAnswer> {
  const { runner_id, limit, signal } = request
  const deadline = performance.now() + request.waitSeconds * 1000
  let runner = await engine.runners.get(runner_id)
  if (!runner) throw new QueueError('runner_not_registered', 'Runner not registered')
  const { hostname, project_dir, executor_type, executor_profile, tags } = runner
  const { require_matching_tags } = runner
  const waiter = waiting.enter(runner_id, {
    hostname,
    project_dir,
    executor_type,
    executor_profile,
    tags,
    require_matching_tags,
  })
  const taken: string[] = []

  async function look(): Promise<PollAnswer> {
    if (runner?.deregistered_at) {
      await engine.runners.remove(runner_id, now()).catch(unlessGone)
      return { kind: 'deregistered' }
    }
    const at = now()
    const stops = await engine.runs.takeStops(runner_id, at, addSeconds(at, -STOP_RESEND_SECONDS))
    if (stops.session_ids.length > 0) return { kind: 'stops', stops }
    if (limit === 0) return NOTHING
    const tokens = Array.from({ length: limit }, newClaimToken)
    const { claim_key } = request
    const runs = await engine.runs.claim({ runner_id, limit, claim_key, tokens }, at)
    if (runs.length === 0) return NOTHING
    taken.push(...runs.map(({ run_id }) => run_id))
    return { kind: 'runs', runs }
  }

  try {
    const stop = AbortSignal.any([signal, closing])
    for (;;) {
      const answer = await look()
      if (answer.kind !== 'nothing') return answer
      const left = deadline - performance.now()
      if (left <= 0 || stop.aborted) return NOTHING
      await waitForNews(waiter, left, stop)
      if (stop.aborted) return NOTHING
      runner = await engine.runners.get(runner_id)
      // Removed while it waited, by itself or by somebody else: it gets nothing more.
      if (!runner) return NOTHING
    }
  } finally {
    waiter.leave(taken)
  }
}

/** Another poll of the same runner was told just before, and removed it. */
function unlessGone(error: unknown): void {
  if (!(error instanceof QueueError && error.code === 'runner_not_found')) throw error
}

async function waitForNews(waiter: Waiter, left: number, stop: AbortSignal): Promise<void> {
  const { least, most } = LOOK_AGAIN_MS
  waiter.rest()
  await waiter.next(Math.min(left, least + Math.random() * (most - least)), stop)
}
