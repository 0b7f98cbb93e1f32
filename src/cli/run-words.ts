/** What is going on with a run, in words. */
import type { RunnerView, RunView } from '../http/views.ts'
import { isTerminal, type Timestamp } from '../queue/run.ts'
import { LIST_LIMIT } from '../queue/run-queue.ts'
import { whyNobodyTakesIt } from '../queue/runner-match.ts'
import { clockTime, secondsBetween } from '../queue/time.ts'
import { duration, oneLine } from './text.ts'

/** `pending, available at 14:02:10 UTC`: the status, and until when a pending run is kept. */
export const standing = ({ status, available_at }: RunView, now: Date): string =>
  `${status}${available_at === null ? '' : keptUntil(available_at, now)}`

const keptUntil = (time: Timestamp, now: Date) =>
  `, available at ${clockTime(time, now.toISOString())}`

/** `running on build-7`, with the instant since which that is so, where it is known. */
export function activity(
  run: RunView,
  runners: RunnerView[],
  now: Date,
): { words: string; since: Timestamp | null } {
  const host = oneLine(hostOf(run, runners) ?? 'an unknown runner')
  switch (run.status) {
    case 'pending': {
      const again = `pending again after attempt ${run.attempt} of ${run.max_attempts}`
      const words = run.attempt === 0 ? 'pending' : again
      if (run.available_at !== null) {
        return { words: `${words}${keptUntil(run.available_at, now)}`, since: null }
      }
      return { words, since: run.attempt === 0 ? run.created_at : null }
    }
    case 'claimed':
      return { words: `claimed by ${host}`, since: run.claimed_at }
    case 'running':
      return { words: `running on ${host}`, since: run.started_at }
    case 'stopping':
      return { words: `stopping on ${host}`, since: null }
    default:
      return { words: run.status, since: null }
  }
}

/** `completed in 3s`: how a run ended. */
export function ending(run: RunView): string {
  const { status, started_at, completed_at } = run
  if (!isTerminal(status) || started_at === null || completed_at === null) return status
  const seconds = secondsBetween(started_at, completed_at)
  const time = seconds < 10 ? `${seconds.toFixed(1)}s` : duration(seconds)
  return `${status} ${status === 'completed' ? 'in' : 'after'} ${time}`
}

/** `, with attempt 2 of 3`, which may have come and gone between two looks; nothing of the first. */
export const lastAttempt = ({ attempt, max_attempts }: RunView): string =>
  attempt > 1 ? `, with attempt ${attempt} of ${max_attempts}` : ''

/** Why a pending run may wait in vain; null, too, where there may be more runners than were listed. */
export const vain = (run: RunView, runners: RunnerView[]): string | null =>
  runners.length < LIST_LIMIT ? whyNobodyTakesIt(run.demands, runners) : null

/** The host a run is held by; the runner's id where the runner is gone. */
export function hostOf(run: RunView, runners: RunnerView[]): string | null {
  return runners.find((each) => each.runner_id === run.runner_id)?.hostname ?? run.runner_id
}
