// The page's own script: draws the report's figures. It runs in a browser, after uPlot.
const report = JSON.parse(document.querySelector('#report').textContent)
const { uPlot } = globalThis
const dark = matchMedia('(prefers-color-scheme: dark)')
const titles = JSON.parse(document.querySelector('#titles').textContent)
const steps = Object.keys(titles)
const seconds = report.series.map((row) => row.second)

/** Colours are the style sheet's, so that they follow the scheme. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`)

const axis = (label, more) => ({
  label,
  stroke: color('ink'),
  grid: { stroke: color('grid'), width: 1 },
  ticks: { stroke: color('grid'), width: 1 },
  ...more,
})
const line = (label, stroke, more) => ({
  label,
  stroke,
  width: 2,
  points: { show: seconds.length < 3 },
  ...more,
})

/** How the legend tells a value; there is none where the cursor is not. */
const told = (words) => (_, value) => (value === null || value === undefined ? '–' : words(value))
const perSecond = told((rate) => `${Math.round(rate)}`)
const inMs = told((ms) => `${Number(ms.toPrecision(3))} ms`)

const stepLines = () =>
  steps.map((step) => line(titles[step], color(step), { value: inMs, spanGaps: true }))

/** Latencies span orders of magnitude. */
const logarithmic = { distr: 3 }
const msAxis = () =>
  axis('ms', { size: 70, values: (_, marks) => marks.map((ms) => (ms === null ? '' : String(ms))) })

/** Too short a piece of a second says nothing of the rate in it. */
const LEAST_SECONDS = 0.5
const rates = (key) =>
  report.series.map((row) => (row.seconds < LEAST_SECONDS ? null : row[key] / row.seconds))

function throughput() {
  const series = [
    line('added', color('add'), { width: 5, value: perSecond }),
    line('claimed', color('claim'), { width: 3, value: perSecond }),
    line('completed', color('completed'), { width: 1.5, value: perSecond }),
  ]
  return {
    data: [seconds, rates('added'), rates('claimed'), rates('completed')],
    axes: [axis('seconds'), axis('runs per second', { size: 70 })],
    scales: {
      x: { time: false },
      y: { range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.05)] },
    },
    series: [{ label: 'second' }, ...series],
  }
}

const latencyOverTime = (percentile) => () => ({
  data: [
    seconds,
    ...steps.map((step) => report.series.map((row) => row.latency[step]?.[percentile] ?? null)),
  ],
  axes: [axis('seconds'), msAxis()],
  scales: { x: { time: false }, y: logarithmic },
  series: [{ label: 'second' }, ...stepLines()],
})

/** How many times in so many requests: 90 % is 1 in 10, 99 % is 1 in 100. */
function distribution() {
  const most = Math.max(1, ...steps.map((step) => report.latency_ms[step]?.count ?? 0))
  // Beyond that percentile there is only the slowest request itself.
  const last = Math.log10(most)
  const place = (percentile) => (percentile === 100 ? last : -Math.log10(1 - percentile / 100))
  const read = steps.map((step) => report.distribution[step])
  const points = (read.find((each) => each.length > 0) ?? [])
    .map(({ percentile }, at) => ({ at, percentile, x: place(percentile) }))
    .filter(({ percentile, x }) => percentile === 100 || x < last)
  const marks = [50, 90, 99, 99.9, 99.99, 99.999].filter((mark) => place(mark) < last)
  return {
    data: [
      points.map(({ x }) => x),
      ...read.map((each) => points.map(({ at }) => each[at]?.ms ?? null)),
    ],
    axes: [
      axis('percentile', {
        splits: () => marks.map(place),
        values: () => marks.map((mark) => `${mark} %`),
      }),
      msAxis(),
    ],
    scales: { x: { time: false }, y: logarithmic },
    series: [{ label: 'percentile', value: (_, x) => percentileAt(points, x) }, ...stepLines(inMs)],
  }
}

function percentileAt(points, x) {
  const point = points.find((each) => each.x === x)
  if (!point) return '–'
  return point.percentile === 100 ? 'slowest' : `${point.percentile} %`
}

const PLOTS = {
  throughput,
  p50: latencyOverTime('p50'),
  p99: latencyOverTime('p99'),
  distribution,
}

let drawn = []

function draw() {
  for (const plot of drawn) plot.destroy()
  drawn = Object.entries(PLOTS).map(([name, plot]) => {
    const place = document.querySelector(`#${name}`)
    const { data, ...options } = plot()
    return new uPlot({ ...options, width: place.clientWidth, height: 320 }, data, place)
  })
}

function fit() {
  for (const plot of drawn) {
    plot.setSize({ width: plot.root.parentElement.clientWidth, height: plot.height })
  }
}

draw()
dark.addEventListener('change', draw)
addEventListener('resize', fit)
