/** One round: a database, servers, runners and clients; processes are killed, then all must end well. */
import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { HttpClient } from '../../src/load/http.ts'
import type { Invariant } from '../../src/load/invariants.ts'
import { seededRandom } from '../../src/load/random.ts'
import { pause } from '../../src/load/timing.ts'
import { beClient, stopRun } from './clients.ts'
import { Crew } from './crew.ts'
import type { Reader } from './database.ts'
import { FAULTS, type Fault } from './faults.ts'
import { Front } from './front.ts'
import { checkAll, isBroken } from './invariants.ts'
import { Killer, type Kills, type Pace } from './killer.ts'
import { Ledger } from './ledger.ts'
import { Notary } from './notes.ts'
import { Servers } from './servers.ts'
import { type EngineName, openStore } from './store.ts'

export interface Size extends Pace {
  servers: number
  /** Processes with several runners each. */
  runners: number
  clients: number
}

export const FULL_SIZE: Size = {
  ...{ servers: 2, runners: 2, clients: 3 },
  gap_ms: { least: 60, most: 500 },
}

export interface RoundOptions {
  engine: EngineName
  seed: number
  /** For how long processes are killed. */
  seconds: number
  /** On a busy machine it goes on until so much has happened, ten times as long at most. */
  enough?: (counts: Counts) => boolean
  /** Then it ends as soon as that is found out. */
  fault: Fault | null
  size: Size
  /** Ends the killing early; what is there must end well all the same. */
  stop: AbortSignal
}

export interface Counts extends Kills {
  runs: number
  claims: number
  starts: number
  completions: number
  failures: number
  stops: number
  retries: number
  lost: number
}

export interface Round {
  counts: Counts
  invariants: Invariant[]
  /** Kept where an invariant broke. */
  database: string | null
}

const LOOK_MS = 1000
/** So many times as long as it should, until enough has happened. */
const LONGEST = 10
/** Nothing moved for so long: nothing will. */
const STALL_MS = 12_000
const STALL_FAULTY_MS = 4000
const DRAIN_LOOK_MS = 200

export async function tortureRound(options: RoundOptions): Promise<Round> {
  const { engine, seed, seconds, fault, size, stop, enough = () => true } = options
  const random = seededRandom(seed)
  const store = await openStore(engine)
  const ledger = new Ledger()
  const front = await Front.start(random)
  const onDeath = (how: string) => void ledger.deaths.push(how)
  const servers = new Servers({
    ...{ url: store.url, front, count: size.servers, fault, onDeath },
    mayFailToStart: store.wasAway,
  })
  const crew = new Crew({ url: front.url, ledger, random, count: size.runners })
  const client = new HttpClient(front.url, 32)
  const notary = new Notary(client, ledger.write)
  const over = new AbortController()
  setMaxListeners(0, over.signal)
  let reader: Reader | undefined
  let invariants: Invariant[] = []
  let broken = false
  try {
    const starting = Array.from({ length: size.servers }, (_, at) => servers.start(at))
    const listen = (await Promise.all(starting)).every(Boolean)
    if (!listen) throw new Error(`the servers do not start (is it built?): ${ledger.deaths[0]}`)
    const opened = await store.openReader()
    reader = opened
    const { ordered } = store
    const look = async (final: boolean) => {
      // While the database is read more is answered.
      const moment = Date.now()
      const contents = await opened.read(final)
      return checkAll({ ...contents, ledger: ledger.asOf(moment), ordered, final })
    }
    for (let at = 0; at < size.runners; at += 1) crew.start(at)
    const clients = Array.from({ length: size.clients }, (_, n) =>
      beClient({ notary, random, over: over.signal, name: `client ${n}: run` }),
    )
    const killer = new Killer({ servers, crew, front, store, random, size })
    const killing = killer.work(over.signal)
    const begun = performance.now()
    const left = () => {
      const isEnough = enough(countsOf(ledger, killer.kills))
      return begun + seconds * 1000 * (isEnough ? 1 : LONGEST) - performance.now()
    }
    for (let ms = left(); ms > 0 && !stop.aborted && !broken; ms = left()) {
      await pause(Math.min(LOOK_MS, ms), stop)
      invariants = await look(false)
      broken = invariants.some((each) => isBroken(each) && isAwaited(each, fault))
    }
    over.abort()
    await Promise.all([killing, ...clients])
    if (!broken) {
      await crew.killAll()
      crew.calm()
      for (let at = 0; at < size.runners; at += 1) crew.start(at)
      await drain(reader, notary, fault === null ? STALL_MS : STALL_FAULTY_MS)
    }
    // What was seen broken stays so, though it may have come right since.
    if (!broken) invariants = await look(true)
    broken = invariants.some(isBroken)
    return {
      counts: countsOf(ledger, killer.kills),
      invariants,
      database: broken && fault === null ? await store.remove(true) : null,
    }
  } finally {
    over.abort()
    await Promise.all([crew.killAll(), servers.killAll()])
    client.close()
    front.close()
    await reader?.close()
    if (!broken || fault !== null) await store.remove(false)
  }
}

/** A server that is wrong in one way may be found wrong in several. */
const isAwaited = ({ name }: Invariant, fault: Fault | null): boolean =>
  fault === null || name === FAULTS[fault]

/** Until all runs have ended, or nothing moves any more. */
async function drain(reader: Reader, notary: Notary, stallMs: number): Promise<void> {
  let seen = ''
  let moved = performance.now()
  for (;;) {
    const active = await reader.active()
    if (active.length === 0) return
    const now = JSON.stringify(active)
    if (now !== seen) moved = performance.now()
    if (performance.now() - moved > stallMs) return
    seen = now
    const endless = active.filter(
      (run) => run.plan === 'until_stopped' && run.status !== 'stopping',
    )
    await Promise.all(endless.map(({ run_id }) => stopRun(notary, run_id)))
    await setTimeout(DRAIN_LOOK_MS)
  }
}

function countsOf(ledger: Ledger, kills: Kills): Counts {
  const { adds, claims, stops, retries, reports, signs } = ledger
  const done = <Asked extends { outcome: string }>(notes: readonly Asked[]) =>
    notes.filter(({ outcome }) => outcome === 'acknowledged')
  const reportsOf = (word: string) => done(reports).filter(({ what }) => what === word).length
  return {
    ...kills,
    runs: new Set(done(adds).flatMap(({ run_ids }) => run_ids)).size,
    claims: new Set(claims.flatMap(({ runs }) => runs.map((run) => run.claim_token))).size,
    starts: reportsOf('started'),
    completions: reportsOf('completed'),
    failures: reportsOf('failed'),
    stops: done(stops).length,
    retries: done(retries).length,
    lost: [adds, claims, stops, retries, reports, signs].flat().filter((n) => n.outcome === 'lost')
      .length,
  }
}
