/** Stored text and times, made fit for a person's terminal. */
import type { Timestamp } from '../queue/run.ts'
import { secondsBetween, utcText } from '../queue/time.ts'

/**
 * Shows control characters instead of sending them: a prompt or an error is anybody's text, and
 * must not move the cursor, retitle the window or turn the line around. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[\p{Cc}\p{Bidi_Control}]/gu, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    )
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

/** One line, at most `max` columns wide: for places that must not grow with what they show. */
export function oneLine(text: string, max = 200): string {
  // Cut before all else: a prompt may be megabytes, and only its beginning will be seen.
  const start = text.slice(0, max * 4)
  const line = printable(start.replace(/\s+/g, ' ').trim())
  return cutTo(start.length < text.length ? `${line}…` : line, max)
}

/** Takes no column: marks that join the character before, and format characters. */
const WIDTH_0 = /[\p{M}\p{Cf}]/u
/** Takes two columns, as East Asian scripts and most pictures do. */
const WIDTH_2 =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u

const widthOf = (character: string): number =>
  WIDTH_0.test(character) ? 0 : WIDTH_2.test(character) ? 2 : 1

/** How many columns of a terminal the text takes. */
export function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  return Array.from(text, widthOf).reduce((sum, width) => sum + width, 0)
}

/** Cuts what is wider than `max` columns; an ellipsis shows that it was. */
export function cutTo(text: string, max: number): string {
  if (displayWidth(text) <= max) return text
  let cut = ''
  let width = 1
  for (const character of text) {
    width += widthOf(character)
    if (width > max) break
    cut += character
  }
  return `${cut}…`
}

const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3_600 },
  { name: 'm', seconds: 60 },
  { name: 's', seconds: 1 },
]

/** `12s`, `3m 5s`, `2h 10m`: the largest unit and, with `parts` 2, the one below. */
export function duration(seconds: number, parts: 1 | 2 = 2): string {
  const whole = Math.max(0, Math.floor(seconds))
  const first = UNITS.findIndex((unit) => whole >= unit.seconds)
  if (first === -1) return '0s'
  let rest = whole
  const words: string[] = []
  for (const unit of UNITS.slice(first, first + parts)) {
    const count = Math.floor(rest / unit.seconds)
    rest -= count * unit.seconds
    if (count > 0) words.push(`${count}${unit.name}`)
  }
  return words.join(' ')
}

/** `12.3 MB`, in the units of disks. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  while (value >= 1000 && units.length > 1) {
    value /= 1000
    units.shift()
  }
  return `${units[0] === 'B' ? value : value.toFixed(1)} ${units[0]}`
}

/** `5m ago`, or `in 5m` for what lies ahead. */
export function relative(time: Timestamp, now: Date): string {
  const seconds = secondsBetween(time, now.toISOString())
  return seconds < -1 ? `in ${duration(-seconds, 1)}` : `${duration(seconds, 1)} ago`
}

/** `2026-01-31 12:00:00 UTC (5m ago)`. */
export function absoluteAndRelative(time: Timestamp, now: Date): string {
  return `${utcText(time)} (${relative(time, now)})`
}
