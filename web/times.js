/** Times in words that stay right: `5m ago`, `in 5m`, `5m`. */

/** How far the server's clock is ahead of this one. */
let ahead = 0

/** @param {string | null} now the server's, just now */
export function setNow(now) {
  if (now !== null) ahead = Date.parse(now) - Date.now()
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' })
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' })

/**
 * @param {number} seconds
 * @param {number} parts
 */
export function duration(seconds, parts = 1) {
  const units = [
    { name: 'd', size: 86_400 },
    { name: 'h', size: 3600 },
    { name: 'm', size: 60 },
    { name: 's', size: 1 },
  ]
  let rest = Math.max(0, Math.floor(seconds))
  const first = units.findIndex(({ size }) => rest >= size)
  if (first < 0) return '0s'
  const words = []
  for (const { name, size } of units.slice(first, first + parts)) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) words.push(`${count}${name}`)
  }
  return words.join(' ')
}

/**
 * @param {number} at
 * @param {string | undefined} as
 */
function words(at, as) {
  const seconds = (Date.now() + ahead - at) / 1000
  if (as === 'at') return seconds < 86_400 / 2 ? clock.format(at) : day.format(at)
  if (as === 'for') return duration(seconds, 2)
  if (seconds < -1) return `in ${duration(-seconds)}`
  return seconds < 1 ? 'now' : `${duration(seconds)} ago`
}

/** @param {ParentNode} within */
export function fillTimes(within) {
  for (const time of within.querySelectorAll('time')) {
    const at = Date.parse(time.dateTime)
    if (Number.isNaN(at)) continue
    const text = words(at, time.dataset['as'])
    if (time.textContent !== text) time.textContent = text
    if (!time.title) time.title = full.format(at)
  }
}

const BRIEFLY_MS = 1000

setInterval(() => {
  if (!document.hidden) fillTimes(document)
}, BRIEFLY_MS)
