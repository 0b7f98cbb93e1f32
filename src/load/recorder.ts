/** Latencies and counts of the measured part: over all of it, and second by second. */
import { build, type Histogram } from 'hdr-histogram-js'
import { type Distribution, type Latency, type SeriesRow, STEPS, type Step } from './steps.ts'

/** Where the distribution is read, in percent: finer towards the end, which is of interest. */
const PERCENTILES = [
  0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 96, 97, 98, 99, 99.5, 99.75, 99.9, 99.95,
  99.99, 99.999, 100,
]

const COUNTED = { add: 'added', claim: 'claimed', completed: 'completed' } as const
/** Histograms count microseconds, up to an hour. */
const US_MAX = 3_600_000_000

const histograms = (digits: 2 | 3): Record<Step, Histogram> => {
  const empty = () =>
    build({ highestTrackableValue: US_MAX, numberOfSignificantValueDigits: digits })
  return { add: empty(), wait: empty(), claim: empty(), started: empty(), completed: empty() }
}

const emptyRow = (second: number): SeriesRow => ({
  second,
  seconds: 1,
  added: 0,
  claimed: 0,
  completed: 0,
  latency: { add: null, wait: null, claim: null, started: null, completed: null },
})

/** Times are milliseconds of one clock that never goes back. */
export class Recorder {
  #start = 0
  readonly #total = histograms(3)
  readonly #second = histograms(2)
  #row = emptyRow(0)
  readonly series: SeriesRow[] = []

  /** Before anything is recorded. */
  begin(now: number): void {
    this.#start = now
  }

  record(step: Step, from: number, to: number): void {
    this.#advance(to)
    const us = Math.min(Math.max(Math.round((to - from) * 1000), 0), US_MAX)
    this.#total[step].recordValue(us)
    this.#second[step].recordValue(us)
    if (step in COUNTED) this.#row[COUNTED[step as keyof typeof COUNTED]] += 1
  }

  /** No more comes: the last second is a row too. */
  finish(now: number): void {
    this.#advance(now)
    const seconds = (now - this.#start) / 1000 - this.#row.second
    this.#row.seconds = Math.max(0, Math.min(1, seconds))
    this.#closeRow()
  }

  latency(step: Step): Latency | null {
    const histogram = this.#total[step]
    const at = (percentile: number) => ms(histogram.getValueAtPercentile(percentile))
    if (histogram.totalCount === 0) return null
    return {
      count: histogram.totalCount,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p99_9: at(99.9),
      max: ms(histogram.maxValue),
    }
  }

  distribution(step: Step): Distribution {
    const histogram = this.#total[step]
    if (histogram.totalCount === 0) return []
    return PERCENTILES.map((percentile) => ({
      percentile,
      ms: ms(histogram.getValueAtPercentile(percentile)),
    }))
  }

  #advance(now: number): void {
    const second = Math.floor((now - this.#start) / 1000)
    while (this.#row.second < second) this.#closeRow()
  }

  #closeRow(): void {
    for (const step of STEPS) {
      const histogram = this.#second[step]
      if (histogram.totalCount === 0) continue
      this.#row.latency[step] = {
        p50: ms(histogram.getValueAtPercentile(50)),
        p99: ms(histogram.getValueAtPercentile(99)),
      }
      histogram.reset()
    }
    this.series.push(this.#row)
    this.#row = emptyRow(this.#row.second + 1)
  }
}

const ms = (us: number): number => us / 1000
