import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RunqueueClient } from '../../src/client/index.ts'
import type { Ledger } from '../../src/load/ledger.ts'
import { type GivenOptions, loadOptions, type Scenario } from '../../src/load/options.ts'
import type { OwnServer } from '../../src/load/own-server.ts'
import type { Recorder } from '../../src/load/recorder.ts'
import type { Report } from '../../src/load/report.ts'
import { importBuilt } from '../support/built.ts'
import { tamperingProxy } from './tampering-proxy.ts'

const { runLoad }: typeof import('../../src/load/load.ts') = await importBuilt('load/load')
const { startOwnServer }: typeof import('../../src/load/own-server.ts') =
  await importBuilt('load/own-server')

let server: OwnServer
let client: RunqueueClient

beforeAll(async () => {
  server = await startOwnServer([])
  client = new RunqueueClient({ url: server.url })
})
afterAll(() => server.close())

interface Circumstances {
  stop?: AbortController
  /** Called when the measured part begins. */
  onMeasure?: (ledger: Ledger) => void
}

function load(
  scenario: Scenario,
  given: GivenOptions,
  { stop = new AbortController(), onMeasure = () => {} }: Circumstances = {},
): Promise<Report> {
  const options = loadOptions(scenario, 1, { url: server.url, connections: 16, ...given })
  const measure = (_: Recorder, ledger: Ledger) => onMeasure(ledger)
  const progress = { phase() {}, measure, end() {} }
  return runLoad(options, { token: null, progress, stop: stop.signal, execArgv: [] })
}

const brokenIn = ({ invariants }: Report) =>
  invariants.filter(({ broken }) => broken > 0).map(({ name }) => name)

async function idsOf(status: string): Promise<string[]> {
  const { runs } = await client.listRuns({ status: [status], limit: 1000 })
  return runs.map(({ run_id }) => run_id)
}

// All at a time on one server, each in its lane: most of the time each of them only waits.
describe.concurrent('a short load', () => {
  it.each<[Scenario, GivenOptions, added: number]>([
    ['steady', { runners: 24, rate: 100, duration_seconds: 0.7, hosts: 4, tags: 3 }, 0],
    ['burst', { runners: 40, runs: 150, work_ms: 5 }, 0],
    ['backlog', { runners: 20, runs: 1050, rate: 50, duration_seconds: 0.7 }, 1050],
    ['idle', { runners: 150, rate: 20, duration_seconds: 0.7 }, 0],
    ['history', { runners: 20, runs: 100, rate: 50, duration_seconds: 0.7 }, 100],
  ])('%s: all invariants hold', async (scenario, given, before) => {
    const { ended, ok, failures, invariants, runs, latency_ms } = await load(scenario, given)
    expect({ ended, ok, failures }).toEqual({ ended: 'drained', ok: true, failures: {} })
    expect(invariants.every(({ checked }) => checked > 0)).toBe(true)
    const measured = latency_ms.add?.count ?? 0
    expect(measured).toBeGreaterThan(5)
    expect(runs.accepted).toBeGreaterThan(before + measured)
    for (const latency of Object.values(latency_ms)) expect(latency?.count).toBe(measured)
  })

  it('finds out a server that hands a run out twice', async () => {
    let first: { run_id: string } | undefined
    let doubled = false
    const url = await tamperingProxy(server.url, (path, text) => {
      if (path !== '/runner/runs/claim') return text
      const answer = JSON.parse(text) as { runs: { run_id: string }[] }
      if (first && !doubled && answer.runs.length > 0) {
        doubled = true
        answer.runs.unshift(first)
      }
      first ??= answer.runs[0]
      return JSON.stringify(answer)
    })
    const report = await load('burst', { url, runners: 8, runs: 30 })
    expect(report).toMatchObject({ ended: 'drained', ok: false })
    expect(brokenIn(report)).toEqual(['claimed_once'])
    expect(JSON.stringify(report.invariants)).toContain(`${first?.run_id} was handed to`)
  })
})

describe('a server that others use too', () => {
  it('keeps their work untouched, and nothing of the load', async () => {
    const { run_id } = await client.addRun({ type: 'start_session', prompt: 'not of the load' })
    const report = await load('backlog', { runners: 10, runs: 50, rate: 50, duration_seconds: 0.2 })
    expect(report.ok).toBe(true)
    expect(await idsOf('pending')).toEqual([run_id])
    expect((await client.listRunners()).runners).toEqual([])
    await client.stopRun(run_id)
  })
})

describe('a load that is ended early', () => {
  it('is reported and checked as far as it went', async () => {
    const stop = new AbortController()
    const given = { runners: 20, rate: 100, duration_seconds: 600, work_ms: 60_000 }
    // More than all runners hold at once, and none is done by then.
    const onMeasure = async (ledger: Ledger) => {
      const enough = ledger.accepted + given.runners + 5
      while (ledger.accepted < enough) await setTimeout(5)
      stop.abort()
    }
    const report = await load('steady', given, { stop, onMeasure })
    expect(report).toMatchObject({ ended: 'stopped', ok: true })
    const { accepted, completed } = report.runs
    expect(completed).toBeGreaterThan(0)
    expect(completed).toBeLessThan(accepted)
    expect(await idsOf('pending')).toEqual([])
  })
})
