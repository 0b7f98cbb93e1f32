/** What a step of the simulation is, and what it is chosen from. */
import type { Demands } from '../../src/queue/demands.ts'
import type { Engine } from '../../src/queue/engine.ts'
import type { RunChange } from '../../src/queue/run-change.ts'
import type { Clock } from '../support/clock.ts'
import type { Model } from './model.ts'
import type { Random } from './random.ts'
import type { ModelRun } from './state.ts'

export interface Step {
  operation: string
  given: unknown
  /** What both come to must be equal, be it a value or a refusal. */
  onEngine: (engine: Engine) => Promise<unknown>
  onModel: (model: Model) => unknown
}

export interface Situation {
  model: Model
  random: Random
  clock: Clock
  /** A number not given before. */
  next: () => number
}

export const RUNNERS = ['lnch_1', 'lnch_2', 'lnch_3', 'lnch_4', 'lnch_5']
export const HOSTS = ['alpha', 'beta']
const TAGS = ['a', 'b', 'c']

export const someTags = (random: Random): string[] => TAGS.filter(() => random.oneIn(2))

export function someDemands(random: Random): Demands | null {
  if (random.oneIn(3)) return null
  const hostname = random.oneIn(2) ? random.pick(HOSTS) : undefined
  const tags = someTags(random)
  if (hostname === undefined) return tags.length === 0 ? null : { tags }
  return { hostname, tags }
}

export const someRunner = (random: Random): string => random.pick(RUNNERS) ?? ''

/** Mostly a run that somebody holds. */
export function someRun({ model, random }: Situation): ModelRun | undefined {
  const held = model.where('claimed', 'running', 'stopping')
  return random.pick(random.oneIn(4) || held.length === 0 ? model.runs : held)
}

export const idsOf = (runs: { run_id: string }[]): string[] =>
  runs.map(({ run_id }) => run_id).sort()

/** The runs that were there before: not those that parents got. */
export const movedBy = (changes: RunChange[]): string[] =>
  idsOf(changes.filter(({ cause }) => cause !== 'added'))
