/** The report as one page: figures, plots, checks. All of it is in the file; it loads nothing. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PAGE_STYLE } from './page-style.ts'
import { count, loadInWords, milliseconds, type Report, remarks } from './report.ts'
import { STEP_TITLES, STEPS } from './steps.ts'

/** The browser itself holds the page to what it promises. */
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"

const PLOTS = {
  throughput: 'Throughput',
  distribution: 'Latency by percentile',
  p50: 'Latency over time, median',
  p99: 'Latency over time, 99th percentile',
}

export function htmlReport(report: Report): string {
  const { resolve } = createRequire(import.meta.url)
  const uPlotFile = (name: string) => readFileSync(resolve(`uplot/dist/${name}`), 'utf8')
  const title = `runqueue under load: ${report.options.scenario}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(title)}</title>
<style>${uPlotFile('uPlot.min.css')}${PAGE_STYLE}</style>
<h1>${escaped(title)}</h1>
${summary(report)}
<h2>Latency in milliseconds</h2>
<div class="scroll">${latencyTable(report)}</div>
<div class="plots">
${Object.entries(PLOTS)
  .map(([id, title]) => `<section><h2>${title}</h2><div id="${id}"></div></section>`)
  .join('\n')}
</div>
<h2>What must hold</h2>
<div class="scroll">${invariantTable(report)}</div>
${failureList(report)}
${json('report', report)}
${json('titles', STEP_TITLES)}
<script>${uPlotFile('uPlot.iife.min.js')}</script>
<script type="module">${plotScript()}</script>
</html>
`
}

/** Built, it names a source map that would not be there. */
function plotScript(): string {
  const script = readFileSync(new URL('./plots.mjs', import.meta.url), 'utf8')
  return script.replace(/^\/\/# sourceMappingURL=.*$/m, '')
}

function summary(report: Report): string {
  const { ok, options, server, runs, measured_seconds, per_second, machine, started_at } = report
  const { added, claimed, completed } = per_second
  const verdict = ok
    ? '<p class="good">All that must hold does hold.</p>'
    : '<p class="bad">Something that must hold does not.</p>'
  const place = server.database === null ? '' : ` on ${server.database}`
  const lines = [
    `${count(runs.accepted)} runs accepted, ${count(runs.completed)} completed.`,
    `In ${measured_seconds.toFixed(1)} s: ${added.toFixed(1)}/s added, ${claimed.toFixed(1)}/s claimed, ${completed.toFixed(1)}/s completed.`,
    ...remarks(report),
  ]
  const circumstances = [
    loadInWords(options),
    `${started_at}, ${server.url}${place}, Node ${machine.node}, ${machine.cpus} processors`,
  ]
  return [
    ...circumstances.map((line) => `<p class="faint">${escaped(line)}</p>`),
    verdict,
    ...lines.map((line) => `<p>${escaped(line)}</p>`),
  ].join('\n')
}

function latencyTable({ latency_ms }: Report): string {
  const rows = STEPS.flatMap((step) => {
    const latency = latency_ms[step]
    if (latency === null) return []
    const { p50, p90, p99, p99_9, max } = latency
    const cells = [count(latency.count), ...[p50, p90, p99, p99_9, max].map(milliseconds)]
    return [`<tr>${[STEP_TITLES[step], ...cells].map((cell) => `<td>${cell}</td>`).join('')}</tr>`]
  })
  const titles = ['step', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max']
  return `<table><tr>${titles.map((title) => `<th>${title}</th>`).join('')}</tr>${rows.join('')}</table>`
}

function invariantTable({ invariants }: Report): string {
  const rows = invariants.map(({ claim, checked, broken, examples }) => {
    const verdict =
      broken === 0
        ? '<td class="good">holds</td>'
        : `<td class="bad">broken ${count(broken)} times</td>`
    const text = [claim, ...examples].map(escaped).join('<br>')
    return `<tr>${verdict}<td class="text">${text}</td><td>${count(checked)} looked at</td></tr>`
  })
  return `<table>${rows.join('')}</table>`
}

function failureList({ failures }: Report): string {
  const kinds = Object.entries(failures)
  if (kinds.length === 0) return ''
  const items = kinds.map(([kind, times]) => `<li>${count(times)} × ${escaped(kind)}</li>`)
  return `<h2>Requests that failed</h2><ul>${items.join('')}</ul>`
}

/** Data for the page's script; no text in it can end the element. */
const json = (id: string, value: object): string =>
  `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>`

const escaped = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
