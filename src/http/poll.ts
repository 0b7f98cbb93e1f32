/** The long poll: look; if there is nothing, wait for news; look again. */

import type { Capabilities } from '../queue/demands.ts'
import { QueueError } from '../queue/errors.ts'
import { type Histogram, observe } from '../queue/histogram.ts'
import { newClaimToken } from '../queue/ids.ts'
import type { ClaimedRun } from '../queue/run.ts'
import type { PollOutcome } from '../queue/run-queue.ts'
import type { Runner } from '../queue/runner.ts'
import { addSeconds } from '../queue/time.ts'
import type { Caller } from '../queue/token.ts'
import type { Deps } from './deps.ts'
import type { Waiter, WaitingRunners } from './waiting-runners.ts'

/** The polls of this process. */
export interface Polls {
  waiting: WaitingRunners
  /** What looks took that got runs. */
  claims: Histogram
}

export interface Poll {
  runner_id: string
  caller: Caller | null
  /** How many runs at most; 0 waits for stops only. */
  limit: number
  claim_key: string | null
  waitSeconds: number
  /** Aborts when the client goes away. Made only for those who wait, since it costs. */
  signal: () => AbortSignal
}

export type PollAnswer =
  | Exclude<PollOutcome, { kind: 'not_registered' | 'nothing' | 'runs' }>
  | Handed
  | { kind: 'nothing' }
interface Handed {
  kind: 'runs'
  runs: ClaimedRun[]
  /** Those that were claimed now; the others were before, under the same claim_key. */
  claimed: ClaimedRun[]
}
type Found = Exclude<PollOutcome, { kind: 'runs' }> | Handed

/**
 * Behind the change signal, in case a hint was lost: spread, so that waiters do not look at once, and
 * seldom, since looks of 500 waiters every 10 s cost as much as all else of an idle server.
 */
const LOOK_AGAIN_MS = { least: 20_000, most: 30_000 }
/** A runner is busy for some seconds while it stops a process, and does not confirm before. */
const STOP_RESEND_SECONDS = 30

const NOTHING: PollAnswer = { kind: 'nothing' }

/** @throws QueueError runner_not_registered, runner_not_yours, invalid_token */
export async function poll(deps: Deps, polls: Polls, request: Poll): Promise<PollAnswer> {
  const { waiting } = polls
  const { runner_id, limit, waitSeconds } = request
  const deadline = performance.now() + waitSeconds * 1000
  const first = await look(deps, polls, request)
  if (first.kind === 'not_registered') {
    throw new QueueError('runner_not_registered', 'Runner not registered')
  }
  if (first.kind !== 'nothing' || waitSeconds === 0) return first

  // Nothing yet. It enters before it looks again, so that no news falls between the two.
  const waiter = waiting.enter(runner_id, limit === 0 ? null : capabilitiesOf(first.runner))
  let answer: PollAnswer = NOTHING
  try {
    const gone = request.signal()
    const isOver = () => gone.aborted || deps.closing.aborted
    do {
      const found = await look(deps, polls, request)
      // It was removed while it waited: it gets nothing more.
      if (found.kind === 'not_registered') break
      answer = found
      const left = deadline - performance.now()
      if (answer.kind !== 'nothing' || left <= 0 || isOver()) break
      await waitForNews(waiter, left, gone)
    } while (!isOver())
    return answer
  } finally {
    waiter.leave(answer.kind === 'runs' ? answer.runs.map(({ run_id }) => run_id) : [])
  }
}

async function look({ engine, now }: Deps, { claims }: Polls, request: Poll): Promise<Found> {
  const { runner_id, caller, limit, claim_key } = request
  const at = now()
  const tokens = Array.from({ length: limit }, newClaimToken)
  const claim = { runner_id, caller, limit, claim_key, tokens }
  const began = performance.now()
  const found = await engine.runs.poll(claim, at, addSeconds(at, -STOP_RESEND_SECONDS))
  if (found.kind !== 'runs') return found
  observe(claims, (performance.now() - began) / 1000)
  // Each look brings tokens of its own.
  const claimed = found.runs.filter(({ claim_token }) => tokens.includes(claim_token))
  return { ...found, claimed }
}

function capabilitiesOf(runner: Runner): Capabilities {
  const { hostname, project_dir, executor_type, executor_profile, tags } = runner
  const { require_matching_tags } = runner
  return { hostname, project_dir, executor_type, executor_profile, tags, require_matching_tags }
}

async function waitForNews(waiter: Waiter, left: number, gone: AbortSignal): Promise<void> {
  const { least, most } = LOOK_AGAIN_MS
  waiter.rest()
  await waiter.next(Math.min(left, least + Math.random() * (most - least)), gone)
}
