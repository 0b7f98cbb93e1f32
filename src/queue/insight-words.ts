/** The words of explanations. They are bounded, whatever they name. */
import { type Condition, DEMAND_PROPERTIES, type Demands } from './demands.ts'
import type { Count, HeldRun } from './insight.ts'

const TEXT_LENGTH = 100
const LISTED = 5

export const short = (text: string): string =>
  text.length <= TEXT_LENGTH ? text : `${text.slice(0, TEXT_LENGTH - 1).toWellFormed()}…`

/** `a, b and c`, or `a, b and 12 more`. */
export function listed(texts: readonly string[], left_out = 0): string {
  const more = left_out + Math.max(0, texts.length - LISTED)
  const named = texts.slice(0, LISTED).map(short)
  if (more > 0) named.push(`${more} more`)
  const last = named.pop() ?? ''
  return named.length === 0 ? last : `${named.join(', ')} and ${last}`
}

/** It ends where it ends already, as what a program said may. */
export const sentence = (text: string): string => (/[.:!?…]$/.test(text) ? text : `${text}.`)

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`

export const countText = ({ count, at_least }: Count, one: string, many?: string): string =>
  `${at_least ? 'at least ' : ''}${plural(count, one, many)}`

export const runnerName = (runner: { runner_id: string; hostname: string }): string =>
  `${short(runner.runner_id)} on ${short(runner.hostname)}`

/** `2 runs: run_1 (running) and run_2 (claimed)` */
export const holdsText = (holds: readonly HeldRun[], left_out: number): string =>
  `${plural(holds.length + left_out, 'run')}: ${listed(
    holds.map(({ run_id, status }) => `${run_id} (${status})`),
    left_out,
  )}`

/** `hostname a and tag gpu` */
export function demandsText(demands: Demands | null): string {
  if (demands === null) return 'nothing'
  const properties = DEMAND_PROPERTIES.filter((property) => demands[property] !== undefined)
  return listed([
    ...properties.map((property) => `${property} ${demands[property]}`),
    ...demands.tags.map((tag) => `tag ${tag}`),
  ])
}

/** What is asked for and not there, each by itself: `hostname is a, not b`, `tag gpu is missing`. */
export const unmetWords = (conditions: readonly Condition[]): string[] =>
  conditions.filter(({ met }) => !met).map(unmetText)

function unmetText({ demand, wanted, offered }: Condition): string {
  const wants = Array.isArray(wanted) ? wanted : [wanted]
  if (demand === 'tags') {
    const missing = missingTags(wants, offered)
    return missing.length === 1
      ? `tag ${listed(missing)} is missing`
      : `tags ${listed(missing)} are missing`
  }
  if (demand === 'require_matching_tags') {
    return wants.length === 0
      ? 'it takes only runs that demand one of its tags, and has none'
      : `it takes only runs that demand one of its tags (${listed(wants)})`
  }
  return typeof offered === 'string'
    ? `${demand} is ${short(offered)}, not ${listed(wants)}`
    : `it has no ${demand}, and ${listed(wants)} is demanded`
}

const missingTags = (wanted: string[], offered: Condition['offered']): string[] =>
  wanted.filter((tag) => !offered?.includes(tag))

/** How many things would have to be otherwise. Who had the missing tags would have a matching one. */
export function distanceOf(conditions: readonly Condition[]): number {
  let distance = 0
  for (const { demand, wanted, offered, met } of conditions) {
    if (met || (demand === 'require_matching_tags' && offered?.length !== 0)) continue
    distance += Array.isArray(wanted) && demand === 'tags' ? missingTags(wanted, offered).length : 1
  }
  return distance
}

/** Each demand on its own. */
export function singly(demands: Demands | null): { words: string; demands: Demands }[] {
  if (demands === null) return []
  const { tags, ...properties } = demands
  return [
    ...Object.entries(properties).map(([property, value]) => ({
      words: `${property} ${value}`,
      demands: { [property]: value, tags: [] },
    })),
    ...tags.map((tag) => ({ words: `tag ${tag}`, demands: { tags: [tag] } })),
  ]
}
