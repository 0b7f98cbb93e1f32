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
  if (demands === null) return !runner.require_matching_tags
  for (const property of DEMAND_PROPERTIES) {
    const wanted = demands[property]
    if (wanted !== undefined && wanted !== runner[property]) return false
  }
  if (!demands.tags.every((tag) => runner.tags.includes(tag))) return false
  return !runner.require_matching_tags || demands.tags.length > 0
}

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
