/** Law 4: a claim costs the same whatever is stored. */
import { join } from 'node:path'
import type { Engine } from '../src/queue/engine.ts'
import { newClaimToken } from '../src/queue/ids.ts'
import { loadDriver } from '../src/sqlite/driver.ts'
import { openSqliteEngine } from '../src/sqlite/engine.ts'
import {
  type Figure,
  median,
  medianRatio,
  now,
  quantile,
  REPEATS,
  register,
  say,
  withFolder,
} from './support.ts'

interface Stock {
  name: string
  pending?: number
  unmatched?: number
  finished?: number
}

const CLAIMS = 500
/** The first claims of an engine take twice as long as those after some thousand, which V8 has made fast. */
const WARM_UPS = 5

/**
 * 100 000 runs of which this runner can take none: 5 000 hostnames, 700 directories and 50 tag sets,
 * mixed so that some demand one of them, some two, some all.
 */
const DEMANDS = `json_object(
  'hostname', iif(i % 3 <> 1, 'host-' || (i % 5000), NULL),
  'project_dir', iif(i % 3 <> 2, '/dir/' || (i % 700), NULL),
  'tags', json_array(iif(i % 2, 'bench', 'cuda'), 'tag-' || (i % 50)))`

/** Plain SQL: what is measured is the claim, not how the stock came there. */
const fill = (count: number, status: string, demands: string) => `
  INSERT INTO runs (run_id, session_id, type, parameters, demands, status, created_at, updated_at)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
  SELECT '${status}_' || i || '_${demands.length}', 'ses_stock', 'start_session', '{"prompt":"x"}', ${demands}, '${status}',
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (${count} - i) || ' seconds'), '2026-01-01T00:00:00.000Z'
  FROM n`

/** Claims one after the other. @returns what each took, in ms */
type ClaimSome = () => Promise<number[]>

async function openStock(stock: Stock, folder: string): Promise<[ClaimSome, Engine]> {
  say(`  filling: ${stock.name}`)
  const path = join(folder, `${stock.name}.db`)
  const engine = await openSqliteEngine({ url: `file:${path}`, durability: 'normal' })
  await register(engine, 'runner')
  const Driver = await loadDriver()
  const client = new Driver(path)
  client.exec(
    "INSERT INTO sessions (session_id, status, created_at, updated_at) VALUES ('ses_stock', 'pending', '2026-01-01', '2026-01-01')",
  )
  const { pending = 0, unmatched = 0, finished = 0 } = stock
  if (unmatched > 0) client.exec(fill(unmatched, 'pending', DEMANDS))
  if (finished > 0) client.exec(fill(finished, 'completed', 'NULL'))
  client.exec(fill(pending + CLAIMS * (REPEATS + WARM_UPS), 'pending', 'NULL'))
  client.pragma('wal_checkpoint(TRUNCATE)')
  client.close()

  const claimSome = async () => {
    const times: number[] = []
    for (let i = 0; i < CLAIMS; i++) {
      const tokens = [newClaimToken()]
      const at = performance.now()
      const [run] = await engine.runs.claim(
        { runner_id: 'runner', limit: 1, claim_key: null, tokens },
        now(),
      )
      times.push(performance.now() - at)
      if (run?.demands !== null) throw new Error('claimed a run that it should not have')
    }
    return times
  }
  return [claimSome, engine]
}

const STOCKS = {
  plain: { name: '1 000 pending', pending: 1000 },
  million: { name: '1 000 000 pending', pending: 1_000_000 },
  unmatched: {
    name: '1 000 pending behind 100 000 that this runner cannot take',
    pending: 1000,
    unmatched: 100_000,
  },
  finished: {
    name: '1 000 pending and 1 000 000 finished',
    pending: 1000,
    finished: 1_000_000,
  },
} satisfies Record<string, Stock>
type Name = keyof typeof STOCKS

/** The times of each round. All stocks are there first, and claimed from in turn. */
async function claimTimes(folder: string): Promise<Record<Name, number[][]>> {
  const names = Object.keys(STOCKS) as Name[]
  const opened: [Name, ClaimSome, Engine][] = []
  for (const name of names) opened.push([name, ...(await openStock(STOCKS[name], folder))])
  for (let round = 0; round < WARM_UPS; round++) {
    for (const [, claimSome] of opened) await claimSome()
  }
  const times: Record<Name, number[][]> = { plain: [], million: [], unmatched: [], finished: [] }
  for (let round = 0; round < REPEATS; round++) {
    for (const [name, claimSome] of opened) times[name].push(await claimSome())
  }
  for (const [, , engine] of opened) await engine.close()
  return times
}

export async function claimFigures(): Promise<Figure[]> {
  const times = await withFolder(claimTimes)
  const p50s = (name: Name) => times[name].map((round) => quantile(round, 0.5))
  const p99s = (name: Name) => median(times[name].map((round) => quantile(round, 0.99)))
  const ms = (value: number) => `${value.toFixed(3)} ms`
  const ratio = (what: string, name: Name, bar: number, aim: number): Figure => ({
    what: `claim p50: ${what} / 1 000 pending`,
    value: medianRatio(p50s(name), p50s('plain')),
    unit: '×',
    bar,
    aim,
    better: 'less',
    detail: `${ms(median(p50s(name)))} / ${ms(median(p50s('plain')))}`,
  })
  const worst = (Object.keys(STOCKS) as Name[]).map(p99s)
  return [
    ratio('1 000 000 pending', 'million', 1.5, 1.1),
    ratio('100 000 pending that it cannot take', 'unmatched', 3, 1.5),
    ratio('1 000 000 finished', 'finished', 1.5, 1.1),
    {
      what: 'claim p99, the worst of these',
      value: Math.max(...worst),
      unit: 'ms',
      bar: 5,
      aim: 1,
      better: 'less',
      detail: worst.map(ms).join(', '),
    },
  ]
}
