/** The long poll: look; if there is nothing, wait for news; look again. */

import type { Capabilities } from '../queue/demands.ts'
import { QueueError } from '../queue/errors.ts'
import { newClaimToken } from '../queue/ids.ts'
import type { ClaimedRun } from '../queue/run.ts'
import type { Runner, Stops } from '../queue/runner.ts'
import { addSeconds } from '../queue/time.ts'
import type { Deps } from './deps.ts'
import type { Waiter, WaitingRunners } from './waiting-runners.ts'

export interface Poll {
  runner_id: string
  /** How many runs at most; 0 waits for stops only. */
  limit: number
  claim_key: string | null
  waitSeconds: number
  /** Aborts when the client goes away. Made only for those who wait, since it costs. */
  signal: () => AbortSignal
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
  deps: Deps,
  waiting: WaitingRunners,
  request: Poll,
): Promise<PollAnswer> {
  const { engine } = deps
  const { runner_id } = request
  const deadline = performance.now() + request.waitSeconds * 1000
  const first = await look(deps, await registered(), request)
  if (first.kind !== 'nothing' || request.waitSeconds === 0) return first

  // Nothing yet. It enters before it looks again, so that no news falls between the two.
  const runner = await registered()
  const waiter = waiting.enter(runner_id, request.limit === 0 ? null : capabilitiesOf(runner))
  let answer: PollAnswer = NOTHING
  try {
    const gone = request.signal()
    const isOver = () => gone.aborted || deps.closing.aborted
    for (let found: Runner | null = runner; found; found = await engine.runners.get(runner_id)) {
      answer = await look(deps, found, request)
      const left = deadline - performance.now()
      if (answer.kind !== 'nothing' || left <= 0 || isOver()) break
      await waitForNews(waiter, left, gone)
      if (isOver()) break
    }
    // Also where it was removed while it waited: it gets nothing more.
    return answer
  } finally {
    waiter.leave(answer.kind === 'runs' ? answer.runs.map(({ run_id }) => run_id) : [])
  }

  async function registered(): Promise<Runner> {
    const found = await engine.runners.get(runner_id)
    if (!found) throw new QueueError('runner_not_registered', 'Runner not registered')
    return found
  }
}

async function look({ engine, now }: Deps, runner: Runner, request: Poll): Promise<PollAnswer> {
  const { runner_id, limit, claim_key } = request
  const at = now()
  if (runner.deregistered_at) {
    await engine.runners.remove(runner_id, at).catch(unlessGone)
    return { kind: 'deregistered' }
  }
  const stops = await engine.runs.takeStops(runner_id, at, addSeconds(at, -STOP_RESEND_SECONDS))
  if (stops.session_ids.length > 0) return { kind: 'stops', stops }
  if (limit === 0) return NOTHING
  const tokens = Array.from({ length: limit }, newClaimToken)
  const runs = await engine.runs.claim({ runner_id, limit, claim_key, tokens }, at)
  return runs.length === 0 ? NOTHING : { kind: 'runs', runs }
}

function capabilitiesOf(runner: Runner): Capabilities {
  const { hostname, project_dir, executor_type, executor_profile, tags } = runner
  const { require_matching_tags } = runner
  return { hostname, project_dir, executor_type, executor_profile, tags, require_matching_tags }
}

/** Another poll of the same runner was told just before, and removed it. */
function unlessGone(error: unknown): void {
  if (!(error instanceof QueueError && error.code === 'runner_not_found')) throw error
}

async function waitForNews(waiter: Waiter, left: number, gone: AbortSignal): Promise<void> {
  const { least, most } = LOOK_AGAIN_MS
  waiter.rest()
  await waiter.next(Math.min(left, least + Math.random() * (most - least)), gone)
}
