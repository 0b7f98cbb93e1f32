import type { Timestamp } from './run.ts'

export const timestamp = (date: Date): Timestamp => date.toISOString()

/** The instant `seconds` (fractions and negatives allowed) after `now`. */
export function addSeconds(now: Timestamp, seconds: number): Timestamp {
  return new Date(Date.parse(now) + seconds * 1000).toISOString()
}

export function secondsBetween(earlier: Timestamp, later: Timestamp): number {
  return (Date.parse(later) - Date.parse(earlier)) / 1000
}
