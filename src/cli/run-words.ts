/** What is going on with a run, in words. */
import type { RunnerView, RunView } from '../http/views.ts'
import { type Demands, satisfies } from '../queue/demands.ts'
import { isTerminal, type Timestamp } from '../queue/run.ts'
import { secondsBetween } from '../queue/time.ts'
import { clockTime, duration, oneLine } from './text.ts'

/** `pending, available at 14:02:10 UTC`: the status, and until when a pending run is kept. */
export const standing = ({ status, available_at }: RunView, now: Date): string =>
  `${status}${available_at === null ? '' : keptUntil(available_at, now)}`

const keptUntil = (time: Timestamp, now: Date) => `, available at ${clockTime(time, now)}`

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

/** The host a run is held by; the runner's id where the runner is gone. */
export function hostOf(run: RunView, runners: RunnerView[]): string | null {
  return runners.find((each) => each.runner_id === run.runner_id)?.hostname ?? run.runner_id
}

/**
 * Why a pending run may wait in vain.
 * @returns null where an online runner could take it.
 */
export function whyNobodyTakesIt(demands: Demands | null, runners: RunnerView[]): string | null {
  if (runners.length === 0) return 'no runner is registered'
  const able = runners.filter((runner) => satisfies(runner, demands))
  if (able.some((runner) => runner.status === 'online')) return null
  const [stale] = able
  if (stale !== undefined) {
    return `${oneLine(stale.hostname)} could take it, but its runner is stale`
  }
  const choosy = 'takes only runs that demand one of its tags'
  if (demands === null) return `every registered runner ${choosy}`
  const open = runners.map((runner) => ({ ...runner, require_matching_tags: false }))
  const wants = singly(demands)
  const missing = wants.filter((want) => !open.some((runner) => satisfies(runner, want.demands)))
  if (missing.length > 0) return `no registered runner has ${listed(missing)}`
  return open.some((runner) => satisfies(runner, demands))
    ? `every registered runner with ${listed(wants)} ${choosy}`
    : `no registered runner has all of ${listed(wants)}`
}

/** Each demand on its own, with its name. */
function singly({ tags, ...properties }: Demands): { words: string; demands: Demands }[] {
  return [
    ...Object.entries(properties).map(([property, value]) => ({
      words: `${property} ${value}`,
      demands: { [property]: value, tags: [] },
    })),
    ...tags.map((tag) => ({ words: `tag ${tag}`, demands: { tags: [tag] } })),
  ]
}

const listed = (wants: { words: string }[]): string =>
  oneLine(wants.map((want) => want.words).join(' and '))
