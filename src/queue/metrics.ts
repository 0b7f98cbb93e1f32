/**
 * What is counted of the queue, as every process on the database counts it: run_events tells all
 * that happened, and the metrics are its sum. Events are folded into `counters` bit by bit; what was
 * not folded yet is added by whoever reads. So counting costs those who work nothing.
 */
import { emptyHistogram, type Histogram } from './histogram.ts'
import { RUN_STATUSES, type RunStatus, TERMINAL_STATUSES, type Timestamp } from './run.ts'

/** From what a runner is waited for to what is left lying for days. */
export const DURATION_BOUNDS = [
  0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400,
]
/** What one fold takes at most … */
export const FOLD_LIMIT = 1_000
/** … and so many unfolded events are looked through by a reader. */
export const UNFOLDED_LIMIT = 10_000

export interface Metrics {
  /** Adds up to {@link FOLD_LIMIT} events to the totals, each once however many processes do. */
  fold(): Promise<{ events: number }>
  read(staleBefore: Timestamp): Promise<MetricsReading>
  /** What transactions of this process took that wrote, from their begin until they were kept. */
  commits(): Promise<Histogram>
}

export interface MetricsReading {
  /** Null: more than {@link UNFOLDED_LIMIT} events are to be folded first. */
  totals: Totals | null
  runners: { online: number; stale: number }
}

export interface Totals {
  runs: Record<RunStatus, number>
  added: number
  claimed: number
  finished: Record<(typeof TERMINAL_STATUSES)[number], number>
  retried: number
  /** From when a run could be claimed until it was. */
  queue_seconds: Histogram
  /** Of each attempt that was started, from its start to its end. */
  run_seconds: Histogram
}

/** Events that are alike, as the engines count them. */
export interface Tally {
  from_status: RunStatus | null
  to_status: RunStatus
  /** The attempt failed. */
  failed: boolean | number
  /** The place among {@link DURATION_BOUNDS} of what it waited or ran for; null: that is not known. */
  bucket: number | null
  count: number
  /** The sum of what they waited or ran for. */
  milliseconds: number
}

export interface Counter {
  name: string
  value: number
}

const PREFIX = 'metrics_'
const isTerminal = (status: RunStatus) => (TERMINAL_STATUSES as readonly string[]).includes(status)

/** By how much the counters grow. */
export function countersOf(tallies: readonly Tally[]): Counter[] {
  const growth = new Map<string, number>()
  const grow = (name: string, by: number) => {
    if (by !== 0) growth.set(PREFIX + name, (growth.get(PREFIX + name) ?? 0) + by)
  }
  for (const { from_status, to_status, failed, bucket, count, milliseconds } of tallies) {
    if (from_status === to_status) continue
    grow(`runs_${to_status}`, count)
    if (from_status === null) grow('added', count)
    else grow(`runs_${from_status}`, -count)
    if (to_status === 'claimed') grow('claimed', count)
    const wasAtWork = from_status === 'running' || from_status === 'stopping'
    if (to_status === 'pending' && (wasAtWork || failed)) grow('retried', count)
    if (isTerminal(to_status)) grow(`finished_${to_status}`, count)
    if (bucket === null) continue
    const duration = to_status === 'claimed' ? 'queue' : 'run'
    grow(`${duration}_le_${DURATION_BOUNDS[bucket] ?? '+Inf'}`, count)
    grow(`${duration}_ms`, milliseconds)
  }
  return [...growth].map(([name, value]) => ({ name, value }))
}

/** @param counters those of the database, and what is to be added to them */
export function totalsOf(counters: readonly Counter[]): Totals {
  const values = new Map<string, number>()
  for (const { name, value } of counters) values.set(name, (values.get(name) ?? 0) + value)
  const total = (name: string) => values.get(PREFIX + name) ?? 0
  const each = <W extends string>(words: readonly W[], prefix: string) =>
    Object.fromEntries(words.map((word) => [word, total(prefix + word)])) as Record<W, number>
  const histogram = (duration: string): Histogram => ({
    ...emptyHistogram(DURATION_BOUNDS),
    counts: [...DURATION_BOUNDS, '+Inf'].map((bound) => total(`${duration}_le_${bound}`)),
    sum: total(`${duration}_ms`) / 1000,
  })
  return {
    runs: each(RUN_STATUSES, 'runs_'),
    added: total('added'),
    claimed: total('claimed'),
    finished: each(TERMINAL_STATUSES, 'finished_'),
    retried: total('retried'),
    queue_seconds: histogram('queue'),
    run_seconds: histogram('run'),
  }
}

/** The place of a number of milliseconds among {@link DURATION_BOUNDS}, as an SQL expression. */
export const bucketCase = (milliseconds: string): string =>
  `CASE ${DURATION_BOUNDS.map(
    (bound, place) => `WHEN ${milliseconds} <= ${bound * 1000} THEN ${place}`,
  ).join(' ')} WHEN ${milliseconds} IS NOT NULL THEN ${DURATION_BOUNDS.length} END`
