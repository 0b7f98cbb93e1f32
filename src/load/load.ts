/** A load from beginning to end: server, runs, runners, figures, checks. */
import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { availableParallelism } from 'node:os'
import { RunqueueClient } from '../client/index.ts'
import { type Adding, addMany, addPaced } from './adding.ts'
import { Failures } from './failures.ts'
import { HttpClient } from './http.ts'
import { checkInvariants } from './invariants.ts'
import { Ledger } from './ledger.ts'
import type { LoadOptions } from './options.ts'
import { startOwnServer } from './own-server.ts'
import type { Progress } from './progress.ts'
import { seededRandom } from './random.ts'
import { readRuns, tidyUp } from './read-back.ts'
import { Recorder } from './recorder.ts'
import { type Report, reportOf } from './report.ts'
import { startRunners } from './runners.ts'
import { planLoad } from './scenario.ts'

export interface LoadDeps {
  progress: Progress
  /** An admin's, for a server that wants one. No option, since those stand in the report. */
  token: string | null
  /** Aborts to end early; the report is then of what was done. */
  stop: AbortSignal
  /** What Node needs to run this program, for a server of its own. */
  execArgv: string[]
}

/** Nothing was added or completed for so long: something is stuck. */
const STALL_MS = 15_000

/** @throws Error when the server cannot be reached or ends meanwhile */
export async function runLoad(options: LoadOptions, deps: LoadDeps): Promise<Report> {
  const { url } = options
  try {
    return await (url === null ? loadOwnServer(options, deps) : loadServerAt(url, options, deps))
  } finally {
    deps.progress.end()
  }
}

async function loadServerAt(url: string, options: LoadOptions, deps: LoadDeps): Promise<Report> {
  // Not just whether it is there: whether it lets this in.
  await new RunqueueClient({ url, token: deps.token ?? undefined, retries: 0 }).listRuns({
    limit: 1,
  })
  return await load(options, deps, { url, database: null, died: null })
}

async function loadOwnServer(options: LoadOptions, deps: LoadDeps): Promise<Report> {
  deps.progress.phase('starting a server')
  const server = await startOwnServer(deps.execArgv)
  try {
    return await load(options, deps, server)
  } finally {
    await server.close()
  }
}

interface Target {
  url: string
  /** Null for a server that was there before, so that others may use it too. */
  database: string | null
  died: AbortSignal | null
}

async function load(options: LoadOptions, deps: LoadDeps, target: Target): Promise<Report> {
  const { url, database, died } = target
  const { connections, work_ms } = options
  const { progress, token } = deps
  const isShared = database === null
  const begun = new Date()
  const load_id = randomBytes(4).toString('hex')
  const plan = planLoad(options, isShared ? `load-${load_id}` : null)
  const ledger = new Ledger(load_id)
  const recorder = new Recorder()
  const failures = new Failures()
  const client = new HttpClient(url, connections, token)
  const leave = new AbortController()
  const signal = AbortSignal.any(died ? [deps.stop, died] : [deps.stop])
  // One listener for each runner, and for each client.
  setMaxListeners(0, leave.signal, signal)
  const adding: Adding = { client, connections, ledger, failures, signal }
  const drained = () => ledger.drained({ stallMs: STALL_MS + work_ms, signal })
  try {
    if (plan.backlog.length > 0) progress.phase('adding the backlog')
    await addMany(adding, ledger.plan('backlog', plan.backlog))
    if (plan.history.length > 0) progress.phase('adding the history')
    await addMany(adding, ledger.plan('history', plan.history))

    progress.phase(`registering ${plan.capabilities.length} runners`)
    const random = seededRandom(options.seed + 1)
    const place = { ledger, recorder, failures, random, work_ms, leave: leave.signal }
    const crew = await startRunners({ url, token }, plan.capabilities, place, client, signal)
    if (plan.history.length > 0) progress.phase('finishing the history')
    let ended = await drained()
    if (ended === 'drained') {
      progress.phase('warming up')
      await client.connect()
      await addPaced(adding, ledger.plan('warm_up', plan.warmUp), recorder)
      ended = await drained()
    }

    const start = performance.now()
    const idle = performance.eventLoopUtilization()
    recorder.begin(start)
    if (ended === 'drained') {
      progress.measure(recorder, ledger)
      await addPaced(adding, ledger.plan('arrivals', plan.arrivals), recorder)
      ended = await drained()
    }
    const busy = performance.eventLoopUtilization(idle)
    leave.abort()
    await crew.left
    died?.throwIfAborted()
    const end = Math.max(ledger.lastCompletion, start)
    recorder.finish(end)

    progress.phase('reading all runs back')
    const rows = await readRuns(client, ledger, begun)
    if (isShared) await tidyUp(client, connections, rows, [...crew.capabilities.keys()], failures)
    return reportOf(recorder, {
      options,
      started_at: begun.toISOString(),
      machine: { node: process.version, cpus: availableParallelism() },
      server: { url, database },
      ended,
      runs: { accepted: ledger.accepted, completed: ledger.completed },
      measured_seconds: (end - start) / 1000,
      failures: Object.fromEntries(failures.counts),
      harness_busy: busy.utilization,
      invariants: checkInvariants({
        records: ledger.records,
        rows,
        capabilities: crew.capabilities,
        claimsLostSince: ledger.claimsLostSince,
        cutShort: ended === 'stopped',
      }),
    })
  } finally {
    leave.abort()
    client.close()
  }
}
