/** The report for a terminal. */
import type { Output } from '../cli/context.ts'
import type { Invariant } from './invariants.ts'
import { count, loadInWords, milliseconds, type Report, remarks } from './report.ts'
import { STEP_TITLES, STEPS } from './steps.ts'

export function printReport(output: Output, report: Report): void {
  const { server, runs, measured_seconds, per_second } = report
  const place = server.database === null ? '' : `, a process of its own on ${server.database}`
  const lines = [
    loadInWords(report.options),
    `server: ${server.url}${place}`,
    '',
    `${count(runs.accepted)} runs accepted, ${count(runs.completed)} completed; measured for ${measured_seconds.toFixed(1)} s:`,
    `${rate(per_second.added)} added, ${rate(per_second.claimed)} claimed, ${rate(per_second.completed)} completed`,
    ...remarks(report),
    '',
    ...latencyTable(report),
    ...failureLines(report.failures),
    '',
    ...report.invariants.flatMap((invariant) => invariantLines(output, invariant)),
  ]
  output.write(`${lines.join('\n')}\n`)
}

const rate = (perSecond: number): string => `${perSecond.toFixed(1)}/s`

function latencyTable({ latency_ms }: Report): string[] {
  const titles = ['latency in ms', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max']
  const rows = STEPS.flatMap((step) => {
    const latency = latency_ms[step]
    if (latency === null) return []
    const { p50, p90, p99, p99_9, max } = latency
    return [
      [STEP_TITLES[step], count(latency.count), ...[p50, p90, p99, p99_9, max].map(milliseconds)],
    ]
  })
  return [titles, ...rows].map((cells) =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(18) : cell.padStart(9))).join(''),
  )
}

function failureLines(failures: Report['failures']): string[] {
  const kinds = Object.entries(failures)
  if (kinds.length === 0) return []
  return [
    '',
    'requests that failed:',
    ...kinds.map(([kind, times]) => `  ${count(times)} × ${kind}`),
  ]
}

export function invariantLines(output: Output, invariant: Invariant): string[] {
  const { claim, checked, broken, examples } = invariant
  if (broken === 0) return [`${output.style('green', 'holds ')}  ${claim} (${count(checked)})`]
  return [
    `${output.style('red', 'BROKEN')}  ${claim}: not in ${count(broken)} cases (${count(checked)} looked at), such as`,
    ...examples.map((example) => `        ${example}`),
  ]
}
