import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Invariant } from '../../src/load/invariants.ts'
import { loadOptions } from '../../src/load/options.ts'
import { Recorder } from '../../src/load/recorder.ts'
import { type Report, reportOf } from '../../src/load/report.ts'
import { htmlReport } from '../../src/load/report-html.ts'
import { printReport } from '../../src/load/report-text.ts'
import { STEPS } from '../../src/load/steps.ts'

interface Circumstances extends Partial<Pick<Report, 'ended' | 'failures' | 'harness_busy'>> {
  seconds?: number
  faults?: Invariant[]
}

function aReport({ seconds = 3, faults = [], ...facts }: Circumstances = {}): Report {
  const recorder = new Recorder()
  recorder.begin(0)
  for (let second = 0; second < seconds; second += 1) {
    for (const step of STEPS) recorder.record(step, second * 1000, second * 1000 + 100)
  }
  recorder.finish(seconds * 1000)
  return reportOf(recorder, {
    options: loadOptions('backlog', 7, { hosts: 2, tags: 3, work_ms: 40, rate: 1 }),
    started_at: '2026-01-31T12:00:00.000Z',
    machine: { node: 'v20.20.0', cpus: 2 },
    server: { url: 'http://127.0.0.1:4000', database: 'file:/tmp/load.db' },
    ended: 'drained',
    runs: { accepted: 12_345, completed: 3 },
    measured_seconds: seconds,
    failures: {},
    harness_busy: 0.5,
    invariants: [
      { name: 'one', claim: 'all is well', checked: 12_345, broken: 0, examples: [] },
      ...faults,
    ],
    ...facts,
  })
}

const fault = {
  name: 'two',
  claim: 'nothing is <b>bold</b>',
  checked: 9,
  broken: 2,
  examples: ['run_1 </script><img src=x onerror=alert(1)>'],
}

describe('a report', () => {
  it('is ok when all invariants hold', () => {
    expect(aReport().ok).toBe(true)
    expect(aReport({ faults: [fault] }).ok).toBe(false)
  })

  it('tells rates over the measured time', () => {
    expect(aReport().per_second).toEqual({ added: 1, claimed: 1, completed: 1 })
    const nothing = { added: 0, claimed: 0, completed: 0 }
    expect(aReport({ seconds: 0 }).per_second).toEqual(nothing)
  })
})

describe('the text', () => {
  function printed(report: Report): string[] {
    let text = ''
    printReport(
      {
        write(more) {
          text += more
        },
        isTty: false,
        columns: undefined,
        style: (_, words) => words,
      },
      report,
    )
    return text.replaceAll('\u202f', ' ').split('\n')
  }

  it('tells the load, its figures and what was checked', () => {
    expect(printed(aReport())).toEqual([
      'backlog: 100 000 runs that nobody can take, runs at 1/s for 15 s, 200 runners, 64 connections, 2 hosts, 3 tags, 40 ms of work, seed 7',
      'server: http://127.0.0.1:4000, a process of its own on file:/tmp/load.db',
      '',
      '12 345 runs accepted, 3 completed; measured for 3.0 s:',
      '1.0/s added, 1.0/s claimed, 1.0/s completed',
      '',
      'latency in ms         count      p50      p90      p99    p99.9      max',
      'add                       3      100      100      100      100      100',
      'wait for a runner         3      100      100      100      100      100',
      'claim                     3      100      100      100      100      100',
      'report started            3      100      100      100      100      100',
      'report completed          3      100      100      100      100      100',
      '',
      'holds   all is well (12 345)',
      '',
    ])
  })

  it('tells what went wrong', () => {
    const failures = { 'add: refused with 503': 2 }
    const report = aReport({ failures, faults: [fault], ended: 'stalled', harness_busy: 0.97 })
    const lines = printed(report)
    expect(lines).toContain('  2 × add: refused with 503')
    expect(lines).toContain('BROKEN  nothing is <b>bold</b>: not in 2 cases (9 looked at), such as')
    expect(lines).toContain('It was ended because nothing moved any more.')
    expect(lines.find((line) => line.includes('97 %'))).toContain('The harness itself was busy')
  })
})

describe('the page', () => {
  const page = htmlReport(aReport({ faults: [fault], failures: { '<i>odd</i>': 1 } }))

  it('loads nothing: no resource is named, and its policy forbids all', () => {
    const [beforeScripts] = page.split('<script')
    expect(beforeScripts).toContain(`content="default-src 'none'; script-src 'unsafe-inline'`)
    expect(page).not.toMatch(/<(link|img|iframe|object|embed|base|script[^>]+src)\b/i)
    expect(page).not.toMatch(/(src|href|action)\s*=\s*["']?\s*(https?:)?\/\//i)
    expect(page).not.toMatch(/@import|url\(|sourceMappingURL/i)
    const addresses = page.match(/https?:\/\/[^\s"'<]+/g) ?? []
    // The server's own, as text; and the library's, in the comment that says whose it is.
    expect(new Set(addresses)).toEqual(
      new Set(['http://127.0.0.1:4000', 'https://github.com/leeoniya/uPlot']),
    )
  })

  it('takes text as text', () => {
    expect(page).toContain('nothing is &lt;b&gt;bold&lt;/b&gt;')
    expect(page).toContain('&lt;i&gt;odd&lt;/i&gt;')
    const data = /<script type="application\/json" id="report">(.*?)<\/script>/.exec(page)?.[1]
    expect((JSON.parse(data ?? '') as Report).invariants[1]).toEqual(fault)
  })

  it('is light or dark as the reader has it', () => {
    expect(page).toContain('color-scheme: light dark')
    expect(page).toContain('@media (prefers-color-scheme: dark)')
  })

  it.each([
    ['some seconds', aReport()],
    ['nothing', aReport({ seconds: 0 })],
  ])('draws its plots from a load of %s', (_, report) => {
    const plots = drawnPlots(report)
    expect(plots.map(({ place }) => place)).toEqual([
      '#throughput',
      '#p50',
      '#p99',
      '#distribution',
    ])
    for (const { place, data, series } of plots) {
      expect(page).toContain(`id="${place.slice(1)}"`)
      expect(series).toBe(data.length)
      for (const values of data) expect(values).toHaveLength(data[0]?.length ?? 0)
    }
  })
})

/** Runs the page's script with a browser and a uPlot that only take note. */
function drawnPlots(report: Report) {
  const plots: { place: string; data: unknown[][]; series: number }[] = []
  class uPlot {
    constructor(options: { series: unknown[] }, data: unknown[][], { place }: { place: string }) {
      plots.push({ place, data, series: options.series.length })
    }
  }
  const texts: Record<string, string> = {
    '#report': JSON.stringify(report),
    '#titles': JSON.stringify(Object.fromEntries(STEPS.map((step) => [step, step]))),
  }
  const script = readFileSync(new URL('../../src/load/plots.mjs', import.meta.url), 'utf8')
  runInNewContext(script, {
    uPlot,
    matchMedia: () => ({ addEventListener() {} }),
    addEventListener() {},
    getComputedStyle: () => ({ getPropertyValue: (name: string) => name }),
    document: {
      documentElement: null,
      querySelector: (place: string) => ({ place, clientWidth: 600, textContent: texts[place] }),
    },
  })
  return plots
}
