/**
 * Demands: what a run requires of the runner that takes it, and the one rule that decides it.
 *
 * The SQL claim of each engine implements {@link satisfies}; property tests hold them equal.
 */

/** The properties a run may demand, each equal to the runner's own. */
export const DEMAND_PROPERTIES = [
  'hostname',
  'project_dir',
  'executor_type',
  'executor_profile',
] as const
export type DemandProperty = (typeof DEMAND_PROPERTIES)[number]

/** Canonical demands: unset properties are absent, tags are unique and in {@link compareTags} order. */
export type Demands = { [property in DemandProperty]?: string | undefined } & { tags: string[] }

/** Demands as a client states them: members may be missing, null or empty. */
export type DemandsInput = { [property in DemandProperty]?: string | null | undefined } & {
  tags?: string[] | null | undefined
}

/** What a runner offers. */
export interface Capabilities {
  hostname: string
  project_dir: string
  executor_type: string | null
  executor_profile: string | null
  tags: string[]
  /** Take only runs that demand at least one of these tags. */
  require_matching_tags: boolean
}

/**
 * The one rule: may a runner with these capabilities take a run with these demands?
 * Every property that is demanded equals the runner's, every demanded tag is among its tags, and a
 * runner that requires matching tags takes only runs that demand one of its tags.
 */
export function satisfies(runner: Capabilities, demands: Demands | null): boolean {
  const wanted = demands ?? NOTHING
  for (const property of DEMAND_PROPERTIES) {
    if (!offersProperty(runner, wanted, property)) return false
  }
  return offersTags(runner, wanted) && mayTake(runner, wanted)
}

/** One thing that decides whether a runner may take a run, with what either says of it. */
export interface Condition {
  demand: DemandProperty | 'tags' | 'require_matching_tags'
  /** What the run demands; of `require_matching_tags`, the runner's tags: it wants one demanded. */
  wanted: string | string[]
  /** What the runner offers; of `require_matching_tags`, the tags that the run demands. */
  offered: string | string[] | null
  met: boolean
}

/** The same rule, taken apart: {@link satisfies} where all of these are met. */
export function conditionsOf(runner: Capabilities, demands: Demands | null): Condition[] {
  const conditions: Condition[] = []
  const wanted = demands ?? NOTHING
  for (const property of DEMAND_PROPERTIES) {
    const value = wanted[property]
    if (value === undefined) continue
    const met = offersProperty(runner, wanted, property)
    conditions.push({ demand: property, wanted: value, offered: runner[property], met })
  }
  const { tags } = runner
  if (wanted.tags.length > 0) {
    const met = offersTags(runner, wanted)
    conditions.push({ demand: 'tags', wanted: wanted.tags, offered: tags, met })
  }
  if (runner.require_matching_tags) {
    const met = mayTake(runner, wanted)
    conditions.push({ demand: 'require_matching_tags', wanted: tags, offered: wanted.tags, met })
  }
  return conditions
}

const NOTHING: Demands = { tags: [] }

const offersProperty = (runner: Capabilities, demands: Demands, property: DemandProperty) =>
  demands[property] === undefined || demands[property] === runner[property]
const offersTags = (runner: Capabilities, { tags }: Demands) =>
  tags.every((tag) => runner.tags.includes(tag))
const mayTake = (runner: Capabilities, { tags }: Demands) =>
  !runner.require_matching_tags || tags.some((tag) => runner.tags.includes(tag))

/**
 * Unions the tags of all inputs; of each property the first input that sets it wins.
 * Equal demands become equal values, so that they are equal text in the database.
 * @returns null where nothing is demanded.
 */
export function canonicalDemands(...inputs: (DemandsInput | null | undefined)[]): Demands | null {
  const demands: Demands = { tags: canonicalTags(inputs.flatMap((input) => input?.tags ?? [])) }
  for (const property of DEMAND_PROPERTIES) {
    const value = inputs.map((input) => input?.[property]).find(Boolean)
    if (value) demands[property] = value
  }
  return Object.keys(demands).length > 1 || demands.tags.length > 0 ? demands : null
}

function canonicalTags(tags: string[]): string[] {
  return [...new Set(tags)].sort(compareTags)
}

/**
 * Orders tags by the bytes of their UTF-8 text, which is how databases compare text;
 * JavaScript's own `<` compares UTF-16 units and differs beyond the basic plane.
 */
function compareTags(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
