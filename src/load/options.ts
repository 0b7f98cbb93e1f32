/** What a load can be told: the scenarios, what each takes, and its defaults. */
import { UsageError } from '../cli/errors.ts'

export const SCENARIOS = ['steady', 'burst', 'backlog', 'idle', 'history'] as const
export type Scenario = (typeof SCENARIOS)[number]

export interface LoadOptions {
  scenario: Scenario
  /** 0 to 2^32 - 1 */
  seed: number
  runners: number
  /** How many requests of clients go at a time; each runner has one connection more. */
  connections: number
  /** Runners spread over so many hosts; with more than one, each run demands one of them. */
  hosts: number
  /** With more than none, each run demands one of so many tags; each runner offers some. */
  tags: number
  work_ms: number
  /** Runs a second; null where the scenario does not spread them over time. */
  rate: number | null
  duration_seconds: number | null
  /** How many at once, or before all else; null where rate and duration say it. */
  runs: number | null
  /** A server that is there; null starts one. */
  url: string | null
}

type Free = Omit<LoadOptions, 'scenario' | 'seed'>
export type GivenOptions = { [name in keyof Free]?: Free[name] | undefined }

/** Their records must fit into memory. */
export const RUNS_MAX = 500_000
export const RUNNERS_MAX = 10_000

type Shape = Pick<LoadOptions, 'runners' | 'rate' | 'duration_seconds' | 'runs'>

const SHAPES: Record<Scenario, Shape> = {
  steady: { runners: 1000, rate: 500, duration_seconds: 15, runs: null },
  burst: { runners: 1000, rate: null, duration_seconds: null, runs: 10_000 },
  backlog: { runners: 200, rate: 200, duration_seconds: 15, runs: 100_000 },
  idle: { runners: 2000, rate: 5, duration_seconds: 20, runs: null },
  history: { runners: 200, rate: 200, duration_seconds: 15, runs: 20_000 },
}

const FLAGS = { rate: '--rate', duration_seconds: '--duration', runs: '--runs' } as const

/** What a scenario does when nothing is said, as flags. */
export function defaultsInWords(scenario: Scenario): string {
  const shape = SHAPES[scenario]
  const flags = Object.entries(FLAGS).flatMap(([name, flag]) => {
    const value = shape[name as keyof typeof FLAGS]
    return value === null ? [] : [`${flag} ${value}`]
  })
  return [`--runners ${shape.runners}`, ...flags].join(' ')
}

/**
 * Fills in the scenario's defaults.
 * @throws UsageError for what the scenario does not take, for a server that is not on this machine
 * and for loads that make no sense
 */
export function loadOptions(
  scenario: Scenario,
  seed: number,
  given: GivenOptions = {},
): LoadOptions {
  const shape = SHAPES[scenario]
  for (const [name, flag] of Object.entries(FLAGS)) {
    const key = name as keyof typeof FLAGS
    if (shape[key] === null && given[key] !== undefined) {
      throw new UsageError(`${scenario} takes no ${flag}; it has ${defaultsInWords(scenario)}`)
    }
  }
  const options: LoadOptions = {
    scenario,
    seed,
    runners: given.runners ?? shape.runners,
    connections: given.connections ?? 64,
    hosts: given.hosts ?? 1,
    tags: given.tags ?? 0,
    work_ms: given.work_ms ?? 0,
    rate: given.rate ?? shape.rate,
    duration_seconds: given.duration_seconds ?? shape.duration_seconds,
    runs: given.runs ?? shape.runs,
    url: given.url ?? null,
  }
  refuseNonsense(options)
  return options
}

function refuseNonsense({ runners, hosts, tags, rate, duration_seconds, runs, url }: LoadOptions) {
  const kinds = hosts * Math.max(1, tags)
  if (runners < kinds) {
    throw new UsageError(
      `${hosts} hosts and ${tags} tags need at least ${kinds} runners, or some runs fit none`,
    )
  }
  if ((rate ?? 0) * (duration_seconds ?? 0) + (runs ?? 0) > RUNS_MAX) {
    throw new UsageError(
      `that makes more than ${RUNS_MAX} runs; take less of --rate, --duration or --runs`,
    )
  }
  if (url !== null && !isOnThisMachine(url)) {
    throw new UsageError(
      `--url must be an http address of this machine (127.0.0.1, [::1] or localhost), not ${url}: a load is for one's own server`,
    )
  }
}

/** Also what the checks rest on: server and harness read the same clock. */
function isOnThisMachine(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'http:' && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(hostname)
}
