/** Runners as a run sees them: which could take it, and how near the others are. */
import {
  type Capabilities,
  type Condition,
  conditionsOf,
  type Demands,
  satisfies,
} from './demands.ts'
import { QueueError } from './errors.ts'
import type { RunnerState } from './insight.ts'
import { distanceOf, listed, runnerName, singly, unmetWords } from './insight-words.ts'
import type { Timestamp } from './run.ts'
import type { Runner } from './runner.ts'
import { clockTime } from './time.ts'

export interface RankedRunner {
  runner: Runner
  state: RunnerState
  conditions: Condition[]
  satisfies: boolean
}

const STATES: readonly RunnerState[] = ['online', 'stale', 'deregistered']

export function stateOf(runner: Runner, staleBefore: Timestamp): RunnerState {
  if (runner.deregistered_at !== null) return 'deregistered'
  return runner.last_heartbeat > staleBefore ? 'online' : 'stale'
}

/** The nearest first: to be online is one thing like the others that would have to be so. */
export function rankRunners(
  runners: readonly Runner[],
  demands: Demands | null,
  staleBefore: Timestamp,
): RankedRunner[] {
  return runners
    .map((runner) => {
      const state = stateOf(runner, staleBefore)
      const conditions = conditionsOf(runner, demands)
      const distance = distanceOf(conditions) + (state === 'online' ? 0 : 1)
      const ranked = { runner, state, conditions, satisfies: conditions.every(({ met }) => met) }
      return { ranked, distance, rank: STATES.indexOf(state) }
    })
    .sort(
      (a, b) =>
        a.distance - b.distance ||
        a.rank - b.rank ||
        byText(b.ranked.runner.last_heartbeat, a.ranked.runner.last_heartbeat) ||
        byText(a.ranked.runner.runner_id, b.ranked.runner.runner_id),
    )
    .map(({ ranked }) => ranked)
}

const byText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

/** Why it is not taken now, in words that follow on the runner's name. */
export function missText({ runner, state, ...match }: RankedRunner, now: Timestamp): string {
  const misses = unmetWords(match.conditions)
  if (state === 'stale') misses.push(`last heard of at ${clockTime(runner.last_heartbeat, now)}`)
  if (state === 'deregistered') {
    misses.push(`being removed since ${clockTime(runner.deregistered_at ?? now, now)}`)
  }
  return misses.join('; ')
}

/** `runner lnch_1 on a offered it until 14:02:10 UTC`, of a runner that is no longer there for it. */
export function offeredText({ runner, state }: RankedRunner, now: Timestamp): string {
  const until = (state === 'deregistered' && runner.deregistered_at) || runner.last_heartbeat
  return `runner ${runnerName(runner)} offered it until ${clockTime(until, now)}`
}

/** @param ranked at least the nearest; empty where there is none */
export function unmatchable(
  demands: Demands | null,
  ranked: readonly RankedRunner[],
  now: Timestamp,
): QueueError {
  const seen = ranked.filter(({ state }) => state !== 'deregistered')
  const why =
    whyNobodyTakesIt(demands, seen.map(asSeen)) ?? 'the only runners that could are being removed'
  const [nearest] = ranked
  const miss = nearest && `; nearest is ${runnerName(nearest.runner)}: ${missText(nearest, now)}`
  return new QueueError('unmatchable', `No runner can take it now: ${why}${miss ?? ''}`, {
    facts: nearest ? { nearest_runner_id: nearest.runner.runner_id } : {},
  })
}

export const asSeen = ({ runner, state }: RankedRunner): SeenRunner => ({
  ...runner,
  status: state === 'online' ? 'online' : 'stale',
})

export interface SeenRunner extends Capabilities {
  hostname: string
  status: 'online' | 'stale'
}

/**
 * Why a pending run may wait in vain.
 * @returns null where an online runner could take it.
 */
export function whyNobodyTakesIt(
  demands: Demands | null,
  runners: readonly SeenRunner[],
): string | null {
  if (runners.length === 0) return 'no runner is registered'
  const able = runners.filter((runner) => satisfies(runner, demands))
  if (able.some((runner) => runner.status === 'online')) return null
  const [stale] = able
  if (stale !== undefined) {
    return `${listed([stale.hostname])} could take it, but its runner is stale`
  }
  const choosy = 'takes only runs that demand one of its tags'
  if (demands === null) return `every registered runner ${choosy}`
  const open = runners.map((runner) => ({ ...runner, require_matching_tags: false }))
  const wants = singly(demands)
  const missing = wants.filter((want) => !open.some((runner) => satisfies(runner, want.demands)))
  if (missing.length > 0) return `no registered runner has ${words(missing)}`
  return open.some((runner) => satisfies(runner, demands))
    ? `every registered runner with ${words(wants)} ${choosy}`
    : `no registered runner has all of ${words(wants)}`
}

const words = (wants: { words: string }[]): string => listed(wants.map((want) => want.words))
