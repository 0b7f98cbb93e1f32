import type { Timestamp } from './run.ts'

export const timestamp = (date: Date): Timestamp => date.toISOString()

/** The instant `seconds` (fractions and negatives allowed) after `now`. */
export function addSeconds(now: Timestamp, seconds: number): Timestamp {
  return new Date(Date.parse(now) + seconds * 1000).toISOString()
}

/**
 * The instant that a person or a program wrote in ISO form, with its zone (`Z`, `+02:00`).
 * @returns null where it is none.
 */
export function parseTimestamp(text: string): Timestamp | null {
  const [, day] = ISO_WITH_ZONE.exec(text) ?? []
  if (day === undefined || Number.isNaN(Date.parse(text))) return null
  // Date.parse takes a day that its month does not have, as one of the next.
  if (new Date(`${day}T00:00:00Z`).getUTCDate() !== Number(day.slice(-2))) return null
  const instant = new Date(text).toISOString()
  // Years beyond four digits would not sort as text.
  return /^\d{4}-/.test(instant) ? instant : null
}

const ISO_WITH_ZONE =
  /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/

/** `2026-01-31 12:00:00 UTC`, for people. */
export const utcText = (time: Timestamp): string => `${time.slice(0, 19).replace('T', ' ')} UTC`

/** `14:02:10 UTC`, with the date where that is another day's than `now`. */
export function clockTime(time: Timestamp, now: Timestamp): string {
  const today = time.slice(0, 10) === now.slice(0, 10)
  return utcText(time).slice(today ? 'YYYY-MM-DD '.length : 0)
}

export function secondsBetween(earlier: Timestamp, later: Timestamp): number {
  return (Date.parse(later) - Date.parse(earlier)) / 1000
}

const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 24 * 3600 }

/** Seconds of `90s`, `15m`, `12h`, `7d` or plain seconds; null where it is none of these. */
export function parseDuration(text: string): number | null {
  const [, amount, unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text) ?? []
  return amount === undefined ? null : Number(amount) * UNIT_SECONDS[unit as 's' | 'm' | 'h' | 'd']
}
