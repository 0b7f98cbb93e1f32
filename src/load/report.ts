/** The outcome of a load, as --json prints it and the other reports show it. */
import type { Invariant } from './invariants.ts'
import type { LoadOptions, Scenario } from './options.ts'
import type { Recorder } from './recorder.ts'
import { type Distribution, type Latency, type SeriesRow, STEPS, type Step } from './steps.ts'

export interface Report {
  options: LoadOptions
  started_at: string
  /** Node's version and how many processors there are. */
  machine: { node: string; cpus: number }
  /** `database` is null for a server that was there before. */
  server: { url: string; database: string | null }
  /** Why it ended: all was done, Ctrl-C, or nothing moved any more. */
  ended: 'drained' | 'stopped' | 'stalled'
  runs: { accepted: number; completed: number }
  /** From the first arrival to the last completion. */
  measured_seconds: number
  per_second: { added: number; claimed: number; completed: number }
  latency_ms: Record<Step, Latency | null>
  distribution: Record<Step, Distribution>
  series: SeriesRow[]
  /** Requests that went wrong, by kind. */
  failures: Record<string, number>
  /** How much of the measured time the harness itself was at work, from 0 to 1. */
  harness_busy: number
  invariants: Invariant[]
  /** All invariants hold. */
  ok: boolean
}

type Facts = Pick<
  Report,
  | 'options'
  | 'started_at'
  | 'machine'
  | 'server'
  | 'ended'
  | 'runs'
  | 'measured_seconds'
  | 'failures'
  | 'harness_busy'
  | 'invariants'
>

export function reportOf(recorder: Recorder, facts: Facts): Report {
  const { measured_seconds, invariants } = facts
  const perStep = <Value>(value: (step: Step) => Value) =>
    Object.fromEntries(STEPS.map((step) => [step, value(step)])) as Record<Step, Value>
  const latency_ms = perStep((step) => recorder.latency(step))
  const rate = (step: Step) =>
    measured_seconds > 0 ? (latency_ms[step]?.count ?? 0) / measured_seconds : 0
  return {
    ...facts,
    per_second: { added: rate('add'), claimed: rate('claim'), completed: rate('completed') },
    latency_ms,
    distribution: perStep((step) => recorder.distribution(step)),
    series: recorder.series,
    ok: invariants.every(({ broken }) => broken === 0),
  }
}

const BEFORE: Partial<Record<Scenario, string>> = {
  burst: 'at once',
  backlog: 'that nobody can take',
  history: 'that ended before',
}

/** The load in words: `steady: runs at 500/s for 15 s, 1000 runners, …`. */
export function loadInWords(options: LoadOptions): string {
  const { scenario, rate, duration_seconds, runs, runners, hosts, tags, work_ms } = options
  const words = [
    runs !== null && `${several(runs, 'run')} ${BEFORE[scenario]}`,
    rate !== null && `runs at ${count(rate)}/s for ${duration_seconds} s`,
    several(runners, 'runner'),
    several(options.connections, 'connection'),
    hosts > 1 && several(hosts, 'host'),
    tags > 0 && several(tags, 'tag'),
    work_ms > 0 && `${count(work_ms)} ms of work`,
    `seed ${options.seed}`,
  ]
  return `${scenario}: ${words.filter(Boolean).join(', ')}`
}

const ENDED: Record<Report['ended'], string | null> = {
  drained: null,
  stopped: 'It was ended early.',
  stalled: 'It was ended because nothing moved any more.',
}
/** Above this the harness is part of what it measures. */
const BUSY = 0.9

/** What a reader of the figures must know. */
export function remarks({ ended, harness_busy }: Report): string[] {
  const busy = `The harness itself was busy ${Math.round(harness_busy * 100)} % of the time: the latencies hold its own delay too.`
  return [ENDED[ended], harness_busy > BUSY ? busy : null].filter((text) => text !== null)
}

/** Thousands apart, by a narrow space that does not break. */
export const count = (number: number): string =>
  String(number).replace(/\B(?=(\d{3})+$)/g, '\u202f')

const several = (number: number, noun: string): string =>
  `${count(number)} ${noun}${number === 1 ? '' : 's'}`

export const milliseconds = (value: number): string =>
  value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(Math.round(value))
