/** From what is known of a runner and of claimable runs to why it gets nothing. */
import { conditionsOf, type Demands, satisfies } from './demands.ts'
import { QueueError } from './errors.ts'
import {
  type HeldRun,
  INSIGHT_LIMIT,
  NAMED_LIMIT,
  NAMED_RUNS_LIMIT,
  type RunnerExplanation,
  type Terms,
  type UnmetDemands,
} from './insight.ts'
import {
  countText,
  demandsText,
  distanceOf,
  holdsText,
  short,
  unmetWords,
} from './insight-words.ts'
import type { Timestamp } from './run.ts'
import type { Runner } from './runner.ts'
import { stateOf } from './runner-match.ts'
import { addSeconds, clockTime } from './time.ts'

/** What an engine knows. */
export interface RunnerFacts {
  runner: Runner
  held: HeldRun[]
  next_run_id: string | null
  next_available_at: Timestamp | null
  /** Up to {@link INSIGHT_LIMIT} different demands of claimable runs, each with its first run. */
  demanded: Demanded[]
}

export interface Demanded {
  demands: Demands | null
  run_id: string
  priority: number
}

export function explainRunner(facts: RunnerFacts, terms: Terms, now: Timestamp): RunnerExplanation {
  const { runner, held, next_run_id, next_available_at, demanded } = facts
  const { runner_id, hostname, tags, require_matching_tags } = runner
  const { last_heartbeat, deregistered_at } = runner
  const holds = held.slice(0, NAMED_RUNS_LIMIT)
  const unmet = unmetOf(facts)
  const named = unmet.slice(0, NAMED_LIMIT)
  const explanation = {
    ...{ runner_id, hostname, state: stateOf(runner, addSeconds(now, -terms.stale_seconds)) },
    ...{ tags, require_matching_tags, last_heartbeat, deregistered_at },
    ...{ holds, holds_left_out: held.length - holds.length, next_run_id, next_available_at },
    unmet: named,
    unmet_left_out: {
      count: unmet.length - named.length,
      at_least: demanded.length >= INSIGHT_LIMIT,
    },
  }
  return {
    ...explanation,
    summary: summaryOf(explanation, demanded.length, now),
    reasons: reasonsOf(explanation, now),
    outlook: outlookOf(explanation, terms, now),
  }
}

type Known = Omit<RunnerExplanation, 'summary' | 'reasons' | 'outlook'>

/** The nearest first; what is as near stays in the order of its runs' priority. */
function unmetOf({ runner, demanded }: RunnerFacts): UnmetDemands[] {
  return demanded
    .filter(({ demands }) => !satisfies(runner, demands))
    .map(({ demands, run_id, priority }) => {
      const conditions = conditionsOf(runner, demands).filter(({ met }) => !met)
      const summary = unmetWords(conditions).join('; ')
      return { demands, run_id, priority, conditions, summary, distance: distanceOf(conditions) }
    })
    .sort((a, b) => a.distance - b.distance || b.priority - a.priority)
    .map(({ distance: _, ...unmet }) => unmet)
}

function summaryOf(known: Known, demanded: number, now: Timestamp): string {
  const { state, last_heartbeat, deregistered_at, next_run_id, unmet, unmet_left_out } = known
  if (state === 'deregistered') {
    return `Marked for removal at ${clockTime(deregistered_at ?? now, now)}: it gets no more runs, and hears so at its next poll.`
  }
  const next = next_run_id === null ? '' : `it gets ${next_run_id} with its next claim`
  if (state === 'stale') {
    const seen = `Stale: it was last heard of at ${clockTime(last_heartbeat, now)}`
    return next === '' ? `${seen}.` : `${seen}; should it poll, ${next}.`
  }
  if (next !== '') return `Online: ${next}.`
  if (demanded === 0) return 'Online, and nothing is claimable.'
  const count = { ...unmet_left_out, count: unmet.length + unmet_left_out.count }
  return `Online, but it can take nothing of what is claimable: ${countText(count, 'different demand')}, none of which it meets.`
}

function reasonsOf(known: Known, now: Timestamp): string[] {
  const { state, holds, holds_left_out, next_run_id, next_available_at, unmet } = known
  const reasons: string[] = []
  if (holds.length > 0) {
    const asks =
      next_run_id === null ? '' : ', and may not ask for more before it is done with some'
    reasons.push(`It holds ${holdsText(holds, holds_left_out)}${asks}.`)
  } else if (next_run_id !== null && state === 'online') {
    reasons.push('It holds nothing, so it should be asking: see whether its process polls.')
  }
  if (known.require_matching_tags) {
    reasons.push(
      known.tags.length === 0
        ? 'It takes only runs that demand one of its tags, and it has none: it can take no run at all.'
        : 'It takes only runs that demand one of its tags.',
    )
  }
  const [nearest] = unmet
  if (next_run_id === null && nearest !== undefined) {
    reasons.push(
      `Nearest is ${nearest.run_id}, which demands ${demandsText(nearest.demands)}: ${nearest.summary}.`,
    )
  }
  if (next_run_id === null && next_available_at !== null) {
    reasons.push(
      `The next run that waits for its time is claimable from ${clockTime(next_available_at, now)} on.`,
    )
  }
  return reasons
}

function outlookOf({ state, last_heartbeat }: Known, terms: Terms, now: Timestamp): string | null {
  if (state !== 'stale') return null
  const at = clockTime(addSeconds(last_heartbeat, terms.remove_seconds), now)
  return `It is removed at ${at}, and what it holds is settled, unless it sends a heartbeat before.`
}

export const notRegistered = (runner_id: string, { remove_seconds }: Terms): QueueError =>
  new QueueError(
    'runner_not_found',
    `Runner ${short(runner_id)} is not registered: it never was, signed off, or gave no heartbeat for ${remove_seconds} s and was removed. It gets nothing before it registers again`,
  )
