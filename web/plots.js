/** Draws the figures of the activity. uPlot comes as a script before this module. */
import { duration } from './times.js'

/**
 * @typedef {object} Plot
 * @property {HTMLElement} root
 * @property {number} height
 * @property {() => void} destroy
 * @property {(data: unknown) => void} setData
 * @property {(size: { width: number, height: number }) => void} setSize
 */
/** @type {new (options: object, data: unknown, place: Element) => Plot} */
const UPlot = /** @type {any} */ (globalThis).uPlot

const HEIGHT = 170
const dark = matchMedia('(prefers-color-scheme: dark)')
/** @type {Map<HTMLElement, Plot>} */
const drawn = new Map()

/** @param {string} name of the style sheet, so that plots follow the scheme */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)

/** @param {string} name */
const paleOf = (name) => `color-mix(in srgb, ${color(name)} 14%, transparent)`

/** @param {(value: number) => string} words */
const told =
  (words) =>
  /** @param {unknown} _ @param {number | null | undefined} value */
  (_, value) =>
    value === null || value === undefined ? '' : words(value)

const axis = (/** @type {object} */ more) => ({
  stroke: color('faint'),
  font: `11px ${getComputedStyle(document.body).fontFamily}`,
  grid: { stroke: color('line'), width: 1 },
  ticks: { show: false },
  ...more,
})

/** @param {number} seconds */
const secondsText = (seconds) =>
  seconds === 0
    ? '0'
    : seconds < 1
      ? `${Number((seconds * 1000).toPrecision(2))}ms`
      : duration(seconds, 2)

/**
 * @param {string} label
 * @param {string} name
 * @param {(value: number) => string} words
 * @param {object} [more]
 */
const line = (label, name, words, more) => ({
  label,
  stroke: color(name),
  width: 1.5,
  points: { show: false },
  value: told(words),
  ...more,
})

/** @param {number} rate */
const rateText = (rate) => `${Number(rate.toPrecision(3))}`

/** What each plot shows of the rows `[at, seconds, added, completed, failed, median, p90]`. */
const PLOTS = {
  throughput: {
    columns: [2, 3, 4],
    isRate: true,
    series: () => [
      line('added', 'pending', rateText, { dash: [5, 4] }),
      line('completed', 'completed', rateText, { fill: paleOf('completed') }),
      line('failed', 'failed', rateText, { width: 2 }),
    ],
    /** @param {number[]} marks */
    values: (marks) => marks.map(rateText),
    least: 4,
    steps: null,
  },
  waiting: {
    columns: [5, 6],
    isRate: false,
    series: () => [
      line('median', 'running', secondsText, { fill: paleOf('running'), spanGaps: true }),
      line('90 % within', 'claimed', secondsText, { dash: [5, 4], spanGaps: true }),
    ],
    /** @param {number[]} marks */
    values: (marks) => marks.map(secondsText),
    least: 1,
    /** Whole seconds, minutes, hours and days. */
    steps: [
      0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200,
      86_400, 172_800, 604_800,
    ],
  },
}

/** Too short a piece of a span says nothing of the rate in it. */
const LEAST_SECONDS = 15

/** @param {HTMLElement} place */
function dataOf(place) {
  /** @type {(number | null)[][]} */
  const rows = JSON.parse(place.closest('[data-series]')?.getAttribute('data-series') ?? '[]')
  const { columns, isRate } = PLOTS[/** @type {keyof typeof PLOTS} */ (place.dataset['plot'])]
  const values = columns.map((column) =>
    rows.map((row) => {
      const value = row[column] ?? null
      if (value === null || !isRate) return value
      const seconds = row[1] ?? 0
      return seconds < LEAST_SECONDS ? null : (value * 60) / seconds
    }),
  )
  return [rows.map(([at]) => at), ...values]
}

/** @param {HTMLElement} place */
function draw(place) {
  const { series, values, least, steps } =
    PLOTS[/** @type {keyof typeof PLOTS} */ (place.dataset['plot'])]
  const options = {
    width: Math.max(200, place.clientWidth),
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
    scales: {
      y: {
        /** @param {unknown} _ @param {unknown} __ @param {number | null} max */
        range: (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.08)],
      },
    },
    axes: [
      axis({ size: 28, space: 70, values: HOURS }),
      axis({
        size: 46,
        space: 30,
        ...(steps && { incrs: steps }),
        values: (/** @type {unknown} */ _, /** @type {number[]} */ marks) => values(marks),
      }),
    ],
    series: [{ value: told((at) => TIME.format(at * 1000)) }, ...series()],
  }
  drawn.set(place, new UPlot(options, dataOf(place), place))
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
/** @param {unknown} _ @param {number[]} marks */
const HOURS = (_, marks) => marks.map((at) => TIME.format(at * 1000))

/** @param {ParentNode} within */
export function drawPlots(within) {
  for (const [place, plot] of drawn) {
    if (place.isConnected) continue
    plot.destroy()
    drawn.delete(place)
  }
  for (const place of within.querySelectorAll('[data-plot]')) {
    if (!(place instanceof HTMLElement)) continue
    const plot = drawn.get(place)
    if (plot) plot.setData(dataOf(place))
    else draw(place)
  }
}

function redraw() {
  for (const [place, plot] of [...drawn]) {
    plot.destroy()
    drawn.delete(place)
    if (place.isConnected) draw(place)
  }
}

function fit() {
  for (const [place, plot] of drawn) {
    plot.setSize({ width: Math.max(200, place.clientWidth), height: plot.height })
  }
}

dark.addEventListener('change', redraw)
addEventListener('resize', fit)
