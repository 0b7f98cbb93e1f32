/**
 * PostgreSQL: several servers on one database. Each is a process with an engine of its own and runners
 * that claim one run, complete it, claim the next. Counted in the database: no run is claimed twice.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { openPostgresEngine } from '../src/postgres/engine.ts'
import type { Done, Order } from './postgres-claimer.ts'
import { addPending, withDatabase } from './postgres-database.ts'
import { type Figure, median, medianRatio, REPEATS, say } from './support.ts'

const CLAIMER = fileURLToPath(new URL('./postgres-claimer.ts', import.meta.url))
const SERVERS = 4
const RUNS = 100_000
/** What one server claims between the rounds of all, for comparison. */
const RUNS_OF_ONE = 8000
/**
 * Of each server: so few that it waits for its round trips and the disk more than for a processor,
 * and neither that nor the database is what bounds one server.
 */
const CLAIMERS = 4

interface Round {
  rate: number
  /** Of the time of all processors: the servers' part. */
  busy: number
}

export async function serversFigures(server: string): Promise<Figure[]> {
  return await withDatabase(server, async (url) => {
    say(`  filling: ${RUNS} runs`)
    const engine = await openPostgresEngine({ url, durability: 'normal' })
    await engine.close()
    await addPending(url, RUNS + REPEATS * RUNS_OF_ONE)
    const servers: ChildProcess[] = []
    try {
      for (let i = 0; i < SERVERS; i++) servers.push(await startServer(url, `server-${i}`))
      const claimed: string[] = []
      const work = async (of: ChildProcess[], runs: number): Promise<Round> => {
        const at = performance.now()
        const done = await Promise.all(of.map((one) => order(one, { runs: runs / of.length })))
        const ms = performance.now() - at
        const count = done.reduce((sum, { run_ids }) => sum + run_ids.length, 0)
        for (const { run_ids } of done) claimed.push(...run_ids)
        const cpu = done.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
        return { rate: (count / ms) * 1000, busy: cpu / ms }
      }
      const one: Round[] = []
      const all: Round[] = []
      for (let round = 1; round <= REPEATS; round++) {
        say(`  1 and ${SERVERS} servers (${round} of ${REPEATS})`)
        one.push(await work(servers.slice(0, 1), RUNS_OF_ONE))
        all.push(await work(servers, round < REPEATS ? 33_332 : RUNS - 33_332 * (REPEATS - 1)))
      }
      const twice = await claimedTwice(url, claimed)
      const rates = (rounds: Round[]) => rounds.map(({ rate }) => rate)
      const busy = (rounds: Round[]) => median(rounds.map((round) => round.busy)).toFixed(2)
      return [
        {
          what: `PostgreSQL, ${SERVERS} servers, ${claimed.length} runs: claimed other than once`,
          ...{ value: twice, unit: '', bar: 0, aim: 0, better: 'less' },
          detail: 'by what the servers were handed, and by the history in the database',
        },
        {
          what: `PostgreSQL, runs claimed and completed by ${SERVERS} servers / by 1, ${CLAIMERS} claimers each`,
          value: medianRatio(rates(all), rates(one)),
          ...{ unit: '×', bar: 1.5, aim: 2, better: 'more' },
          detail: `${median(rates(all)).toFixed(0)}/s / ${median(rates(one)).toFixed(0)}/s; processors that the servers kept busy, beside PostgreSQL: ${busy(all)} / ${busy(one)}`,
        },
      ]
    } finally {
      for (const one of servers) one.disconnect()
    }
  })
}

async function startServer(url: string, name: string): Promise<ChildProcess> {
  const child = fork(CLAIMER, [url, name, String(CLAIMERS)], { execArgv: ['--import', 'tsx'] })
  await once(child, 'message')
  return child
}

async function order(child: ChildProcess, what: Order): Promise<Done> {
  child.send(what)
  const [done] = await once(child, 'message')
  return done as Done
}

/** Runs that were handed out more or less often than once. */
async function claimedTwice(url: string, claimed: string[]): Promise<number> {
  const shell = new pg.Client({ connectionString: url })
  await shell.connect()
  const { rows } = await shell.query(
    `SELECT count(*)::int AS wrong FROM (
       SELECT run_seq FROM runqueue.run_events WHERE to_status = 'claimed'
       GROUP BY run_seq HAVING count(*) <> 1) AS twice`,
  )
  await shell.end()
  return rows[0].wrong + claimed.length - new Set(claimed).size
}
