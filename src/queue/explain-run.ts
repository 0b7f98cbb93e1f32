/** From what is known of a run and its runners to why it is not further, in words and values. */

import { satisfies } from './demands.ts'
import type { Count, HeldRun, RunExplanation, RunnerMatch, Terms } from './insight.ts'
import { INSIGHT_LIMIT, NAMED_LIMIT, NAMED_RUNS_LIMIT } from './insight.ts'
import {
  countText,
  holdsText,
  plural,
  runnerName,
  sentence,
  short,
  singly,
} from './insight-words.ts'
import { ERRORS } from './recovery.ts'
import type { Run, Timestamp } from './run.ts'
import type { Runner } from './runner.ts'
import {
  asSeen,
  missText,
  offeredText,
  type RankedRunner,
  rankRunners,
  whyNobodyTakesIt,
} from './runner-match.ts'
import { addSeconds, clockTime, secondsBetween } from './time.ts'

/** What an engine knows. */
export interface RunFacts {
  run: Run
  ahead: Count | null
  /** Who holds it, or held it; null where that runner is gone. */
  holder: Runner | null
  /** Up to {@link INSIGHT_LIMIT}, those that could take it before others. */
  runners: Runner[]
  /** Of the runners that {@link toAskFor} names. */
  held: (HeldRun & { runner_id: string | null })[]
  next: Record<string, string | null>
}

/** Whether runners have to do with how it stands. */
export const needsRunner = ({ status, error }: Run): boolean =>
  status === 'pending' || (status === 'failed' && error === ERRORS.noMatch)

/** Of the runners that will be named, those of which has to be known what holds them. */
export const toAskFor = (ranked: readonly RankedRunner[]): string[] =>
  ranked
    .slice(0, NAMED_LIMIT)
    .filter((each) => each.satisfies && each.state === 'online')
    .map(({ runner }) => runner.runner_id)

export const rankFor = ({ demands }: Run, runners: Runner[], terms: Terms, now: Timestamp) =>
  rankRunners(runners, demands, addSeconds(now, -terms.stale_seconds))

export function explainRun(facts: RunFacts, terms: Terms, now: Timestamp): RunExplanation {
  const { run, ahead } = facts
  const isAsked = needsRunner(run)
  const ranked = isAsked ? rankFor(run, facts.runners, terms, now) : []
  const able = ranked.filter((each) => each.satisfies && each.state === 'online').length
  const matches = ranked.slice(0, NAMED_LIMIT).map((each) => matchOf(each, facts, now))
  const at_least = ranked.length >= INSIGHT_LIMIT
  return {
    run_id: run.run_id,
    status: run.status,
    summary: summaryOf(facts, now),
    reasons: isAsked ? reasonsOf(run, ranked, able, matches, now) : [],
    outlook: outlookOf(facts, terms, now),
    demands: run.demands,
    priority: run.priority,
    runner_id: run.runner_id,
    available_at: run.available_at,
    timeout_at: run.timeout_at,
    ahead,
    matching_runners: isAsked ? { count: able, at_least: able >= INSIGHT_LIMIT } : null,
    runners: matches,
    runners_left_out: { count: ranked.length - matches.length, at_least },
  }
}

function matchOf(each: RankedRunner, facts: RunFacts, now: Timestamp): RunnerMatch {
  const { runner_id, hostname, last_heartbeat, deregistered_at } = each.runner
  const held = facts.held.filter((one) => one.runner_id === runner_id)
  const holds = held.slice(0, NAMED_RUNS_LIMIT).map(({ runner_id: _, ...one }) => one)
  const next_run_id = facts.next[runner_id] ?? null
  const match = {
    ...{ runner_id, hostname, state: each.state, last_heartbeat, deregistered_at },
    ...{ satisfies: each.satisfies, conditions: each.conditions },
    ...{ holds, holds_left_out: held.length - holds.length, next_run_id },
  }
  const couldTakeIt = each.satisfies && each.state === 'online'
  return { ...match, summary: couldTakeIt ? busyText(match, facts.run) : missText(each, now) }
}

function busyText(
  { next_run_id, holds, holds_left_out }: Omit<RunnerMatch, 'summary'>,
  { run_id, status, available_at }: Run,
): string {
  const texts: string[] = []
  if (next_run_id === run_id) texts.push('gets it with its next claim')
  else if (status !== 'pending' || available_at !== null) texts.push('could take it')
  else if (next_run_id !== null) texts.push(`gets ${next_run_id} first`)
  if (holds.length > 0) texts.push(`holds ${holdsText(holds, holds_left_out)}`)
  else if (next_run_id !== null) texts.push('holds nothing, so it should be asking')
  return texts.join('; ')
}

const by = ({ run, holder }: RunFacts): string =>
  holder
    ? `runner ${runnerName(holder)}`
    : `runner ${short(run.runner_id ?? '')}, which is not registered any more`

function summaryOf(facts: RunFacts, now: Timestamp): string {
  const { run, ahead } = facts
  const at = (time: Timestamp | null) => (time === null ? '' : ` at ${clockTime(time, now)}`)
  const since = (time: Timestamp | null) => (time === null ? '' : ` since ${clockTime(time, now)}`)
  switch (run.status) {
    case 'pending':
      return pendingText(run, ahead, now)
    case 'claimed':
      return `Claimed by ${by(facts)}${at(run.claimed_at)}, and not reported started yet.`
    case 'running':
      return `Running with ${by(facts)}${since(run.started_at)}, attempt ${run.attempt} of ${run.max_attempts}.`
    case 'stopping':
      return `Asked to stop; ${by(facts)} has not confirmed it yet.`
    case 'completed':
      return `Completed by ${by(facts)}${at(run.completed_at)}${lasted(run)}.`
    case 'failed': {
      const attempts = run.attempt > 1 ? `, with attempt ${run.attempt} of ${run.max_attempts}` : ''
      const why = run.error === null ? '' : `: ${short(firstLine(run.error))}`
      return sentence(`Failed${at(run.completed_at)}${attempts}${why}`)
    }
    case 'stopped': {
      const before = run.started_at === null ? ', before it was started' : lasted(run)
      return `Stopped${at(run.completed_at)}${before}.`
    }
  }
}

function pendingText(run: Run, ahead: Count | null, now: Timestamp): string {
  const { attempt, max_attempts, available_at, error } = run
  const again = attempt === 0 ? '' : ` again after attempt ${attempt} of ${max_attempts}`
  const why = attempt === 0 || error === null ? '' : ` (${short(firstLine(error))})`
  if (available_at !== null) {
    const time = clockTime(available_at, now)
    return available_at > now
      ? `Pending${again}${why}: it waits for its time, and is claimable from ${time} on.`
      : `Pending${again}${why}: its time came at ${time}, and it is claimable within moments.`
  }
  const place =
    ahead === null || ahead.count === 0
      ? 'no claimable run comes before it'
      : `${countText(ahead, 'claimable run')} ${ahead.count === 1 ? 'comes' : 'come'} before it`
  return `Pending${again}${why}: ${place}.`
}

const firstLine = (text: string): string => text.trim().split('\n', 1)[0]?.trim() ?? ''

function lasted({ started_at, completed_at }: Run): string {
  if (started_at === null || completed_at === null) return ''
  return `, ${secondsBetween(started_at, completed_at).toFixed(1)} s after its start`
}

function reasonsOf(
  run: Run,
  ranked: readonly RankedRunner[],
  able: number,
  matches: readonly RunnerMatch[],
  now: Timestamp,
): string[] {
  if (able > 0) {
    const named = matches.filter((match) => match.satisfies && match.state === 'online')
    return [
      `${plural(able, 'runner')} online could take it.`,
      ...named.slice(0, 3).map((match) => sentence(`Runner ${runnerName(match)} ${match.summary}`)),
    ]
  }
  const registered = ranked.filter(({ state }) => state !== 'deregistered')
  const why = whyNobodyTakesIt(run.demands, registered.map(asSeen))
  const reasons = [sentence(`No runner online could take it: ${why}`)]
  const [nearest] = ranked
  if (nearest === undefined) return reasons
  const name = `Nearest is runner ${runnerName(nearest.runner)} (${nearest.state})`
  reasons.push(sentence(`${name}: ${missText(nearest, now)}`))
  return [...reasons, ...offeredBefore(run, ranked, now)]
}

/** Of the demands that nobody online meets, who met them before. */
function offeredBefore(run: Run, ranked: readonly RankedRunner[], now: Timestamp): string[] {
  const open = ranked.map((each) => ({ ...each.runner, require_matching_tags: false }))
  return singly(run.demands)
    .flatMap(({ words, demands }) => {
      const offering = ranked.filter((_, index) => {
        const runner = open[index]
        return runner !== undefined && satisfies(runner, demands)
      })
      if (offering.some(({ state }) => state === 'online')) return []
      return offering.slice(0, 1).map((each) => ({ words, each }))
    })
    .slice(0, 3)
    .map(({ words, each }) =>
      sentence(`Of those online none has ${short(words)}; ${offeredText(each, now)}`),
    )
}

function outlookOf({ run, holder }: RunFacts, terms: Terms, now: Timestamp): string | null {
  const at = (time: Timestamp, seconds: number) => clockTime(addSeconds(time, seconds), now)
  if (run.status === 'pending') {
    return run.timeout_at === null
      ? 'It waits for a runner as long as it takes.'
      : `It fails at ${clockTime(run.timeout_at, now)} unless a runner claims it before.`
  }
  if (run.status === 'claimed' && run.claimed_at !== null) {
    return `It is pending again at ${at(run.claimed_at, terms.claim_timeout_seconds)} unless its start is reported before.`
  }
  if (run.status === 'running' && holder && isStale(holder, terms, now)) {
    const requeued = run.on_lost === 'requeue' && run.attempt < run.max_attempts
    return `Its runner was last heard of at ${at(holder.last_heartbeat, 0)}; if that is still so at ${at(holder.last_heartbeat, terms.remove_seconds)}, the run ${requeued ? 'is pending again' : 'fails'}.`
  }
  return null
}

const isStale = ({ last_heartbeat }: Runner, { stale_seconds }: Terms, now: Timestamp): boolean =>
  last_heartbeat <= addSeconds(now, -stale_seconds)
