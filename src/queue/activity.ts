/** What happened in a while, from the history of runs: which events are read, and what they say. */
import type { RunStatus, Timestamp } from './run.ts'
import { addSeconds, secondsBetween } from './time.ts'

/** Of each span so many events are read at most; of more, as many are taken as a sample. */
export const ACTIVITY_SAMPLE = 100
/** How many spans may be asked for at once. */
const ACTIVITY_BUCKETS_LIMIT = 100

/** A span of time. What is not `exact` is estimated from a sample, since there was too much to read. */
export interface ActivityBucket {
  at: Timestamp
  seconds: number
  added: number
  started: number
  completed: number
  failed: number
  stopped: number
  /** How long runs waited that were claimed in it, in seconds; null where none was. */
  wait_median: number | null
  wait_p90: number | null
  exact: boolean
}

/** An event, as the engines read it. */
export interface ActivityEvent {
  event_id: number
  at: Timestamp
  from_status: RunStatus | null
  to_status: RunStatus
  /** Of a claim: when what the run waited for began, the event before. */
  waited_since: Timestamp | null
}

/** The instants between the spans, one more than there are spans. */
export const edgesOf = (from: Timestamp, seconds: number, count: number): Timestamp[] =>
  Array.from({ length: Math.min(count, ACTIVITY_BUCKETS_LIMIT) + 1 }, (_, index) =>
    addSeconds(from, index * seconds),
  )

/**
 * Which events to read of each span.
 * @param edges the first event of each span, and what comes after the last one
 */
export function sampled(edges: readonly number[]): number[][] {
  return edges.slice(1).map((end, index) => sampleOf(edges[index] ?? end, end))
}

/**
 * All of them, or as many as are read, one from each of as many equal parts. Where in its part is
 * shuffled: events come in patterns (added, claimed, started, completed), which equal steps would
 * take for one kind. The shuffle is the same each time, so that a figure does not tremble.
 */
function sampleOf(first: number, end: number): number[] {
  const width = end - first
  const size = Math.max(0, Math.min(width, ACTIVITY_SAMPLE))
  const part = width / size
  return Array.from({ length: size }, (_, index) =>
    part === 1 ? first + index : first + Math.floor((index + shuffled(first + index)) * part),
  )
}

/** From 0 to below 1; golden ratio steps spread evenly and follow no pattern of events. */
const shuffled = (number: number): number => (number * 0.618_033_988_749_895) % 1

/** @param read the events that were there of those asked for, in any order */
export function activityOf(
  from: Timestamp,
  seconds: number,
  edges: readonly number[],
  read: readonly ActivityEvent[],
): ActivityBucket[] {
  const events = [...read].sort((a, b) => a.event_id - b.event_id)
  let place = 0
  return edges.slice(1).map((end, index) => {
    const start = place
    while (place < events.length && (events[place]?.event_id ?? end) < end) place += 1
    const width = end - (edges[index] ?? end)
    // One event that was read stands for so many; gaps that pruned runs leave are met as often.
    const weight = Math.max(1, width / ACTIVITY_SAMPLE)
    const at = addSeconds(from, index * seconds)
    return { at, seconds, ...bucketOf(events.slice(start, place), weight) }
  })
}

function bucketOf(events: ActivityEvent[], weight: number) {
  const count = (is: (event: ActivityEvent) => boolean) =>
    Math.round(events.filter(is).length * weight)
  const became = (status: RunStatus) =>
    count(({ from_status, to_status }) => to_status === status && from_status !== status)
  const waits = events
    .flatMap(({ at, waited_since }) =>
      waited_since === null ? [] : [Math.max(0, secondsBetween(waited_since, at))],
    )
    .sort((a, b) => a - b)
  return {
    added: count(({ from_status }) => from_status === null),
    started: became('running'),
    completed: became('completed'),
    failed: became('failed'),
    stopped: became('stopped'),
    wait_median: quantile(waits, 0.5),
    wait_p90: quantile(waits, 0.9),
    exact: weight === 1,
  }
}

const quantile = (sorted: number[], share: number): number | null =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
