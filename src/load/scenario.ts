/** From options to a plan: who the runners are, which runs come when. Pure: a seed, a plan. */
import { type Capabilities, canonicalDemands, type Demands } from '../queue/demands.ts'
import type { LoadOptions } from './options.ts'
import { seededRandom } from './random.ts'

export interface PlannedRun {
  /** From the start of its part of the load; null: as soon as a connection is free. */
  due_ms: number | null
  /** Runs that demand the same share one object. */
  demands: Demands | null
  priority: number
}

export interface Plan {
  /** One for each runner. */
  capabilities: Capabilities[]
  /** Added first; no runner can take these. */
  backlog: PlannedRun[]
  /** Added and finished before the measured part begins. */
  history: PlannedRun[]
  /** Few, unmeasured: a server that has just started is slow, and runners are still coming. */
  warmUp: PlannedRun[]
  /** The measured part, in the order in which they are due. */
  arrivals: PlannedRun[]
}

/** One run in so many goes before the others: priorities are to be seen at work. */
const URGENT_ONE_IN = 10
/** The backlog waits for so many hosts, none of them there. */
const ABSENT_HOSTS = 1000
const WARM_UP = { rate: 60, seconds: 1 }

/**
 * @param lane a tag that keeps this load's runs and runners to themselves on a server that others
 * use too; null where it is alone.
 */
export function planLoad(options: LoadOptions, lane: string | null): Plan {
  const { scenario, rate, duration_seconds, runs } = options
  const random = seededRandom(options.seed)
  const kinds = demandKinds(options, lane)
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random() * items.length)] as Item
  const planned = (due_ms: number | null, among: readonly (Demands | null)[]): PlannedRun => ({
    due_ms,
    demands: pick(among),
    priority: random() * URGENT_ONE_IN < 1 ? 1 : 0,
  })
  const several = (count: number, among: readonly (Demands | null)[]): PlannedRun[] =>
    Array.from({ length: count }, () => planned(null, among))

  function paced(rate: number, seconds: number): PlannedRun[] {
    const arrivals: PlannedRun[] = []
    // Exponential gaps: clients know nothing of each other, so arrivals cluster now and then.
    const gap = () => (-Math.log(1 - random()) * 1000) / rate
    for (let due_ms = gap(); due_ms < seconds * 1000; due_ms += gap()) {
      arrivals.push(planned(due_ms, kinds))
    }
    return arrivals
  }

  const count = runs ?? 0
  const warmUp = paced(WARM_UP.rate, WARM_UP.seconds)
  return {
    capabilities: Array.from({ length: options.runners }, (_, index) =>
      capabilitiesOf(index, options, lane),
    ),
    backlog: scenario === 'backlog' ? several(count, absentKinds(lane)) : [],
    history: scenario === 'history' ? several(count, kinds) : [],
    warmUp,
    arrivals:
      scenario === 'burst' ? several(count, kinds) : paced(rate ?? 0, duration_seconds ?? 0),
  }
}

const hostname = (number: number) => `load-host-${number}`
const tag = (number: number) => `load-tag-${number}`
const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number)

function demandKinds({ hosts, tags }: LoadOptions, lane: string | null): (Demands | null)[] {
  const hostnames = hosts > 1 ? numbers(hosts).map(hostname) : [null]
  const tagSets = tags > 0 ? numbers(tags).map((number) => [tag(number)]) : [[]]
  return hostnames.flatMap((hostname) =>
    tagSets.map((tags) =>
      canonicalDemands({ hostname, tags }, lane === null ? null : { tags: [lane] }),
    ),
  )
}

const absentKinds = (lane: string | null): (Demands | null)[] =>
  numbers(ABSENT_HOSTS).map((number) =>
    canonicalDemands({ hostname: `load-absent-${number}`, tags: lane === null ? [] : [lane] }),
  )

/** The runners of a host take turns over the tags, so that each tag is offered on each host. */
function capabilitiesOf(
  index: number,
  { hosts, tags }: LoadOptions,
  lane: string | null,
): Capabilities {
  const turn = Math.floor(index / hosts)
  const offered = tags > 0 ? [...new Set([turn % tags, (turn + 1) % tags])].map(tag) : []
  return {
    hostname: hostname(index % hosts),
    // Part of a runner's identity, so each has its own.
    project_dir: `/load/${lane ?? 'alone'}/${index}`,
    executor_type: null,
    executor_profile: 'load',
    tags: lane === null ? offered : [lane, ...offered],
    require_matching_tags: lane !== null,
  }
}
