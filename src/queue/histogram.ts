/** How often durations fell below each bound. */
export interface Histogram {
  /** In seconds, ascending; what is above the last one is counted by `counts` one place further. */
  bounds: readonly number[]
  /** One more than there are bounds; each counts what lies between its bound and the one before. */
  counts: number[]
  /** Of all durations, in seconds. */
  sum: number
}

export const emptyHistogram = (bounds: readonly number[]): Histogram => ({
  bounds,
  counts: new Array<number>(bounds.length + 1).fill(0),
  sum: 0,
})

export function observe(histogram: Histogram, seconds: number): void {
  const { bounds, counts } = histogram
  let place = 0
  while (place < bounds.length && seconds > (bounds[place] ?? 0)) place += 1
  counts[place] = (counts[place] ?? 0) + 1
  histogram.sum += seconds
}

/** What a process takes for something that is done in a moment, to what is stuck. */
export const LATENCY_BOUNDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
