/** PostgreSQL, law 4: what a claim costs beside how much is stored. */
import pg from 'pg'
import { openPostgresEngine } from '../src/postgres/engine.ts'
import type { Engine } from '../src/queue/engine.ts'
import { newClaimToken } from '../src/queue/ids.ts'
import { withDatabase } from './postgres-database.ts'
import {
  type Figure,
  inTurn,
  median,
  medianRatio,
  now,
  quantile,
  register,
  say,
} from './support.ts'

const CLAIMS = 300

const fill = (count: number, status: string, demands: string) => `
  INSERT INTO runqueue.runs (run_id, session_id, type, parameters, demands, status, created_at, completed_at)
  SELECT '${status}_' || i || '_${demands.length}', 'ses_stock', 'start_session', '{"prompt":"x"}', ${demands}, '${status}',
    to_char(timestamp '2026-01-01' + i * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    ${status === 'pending' ? 'NULL' : `'2026-01-02T00:00:00.000Z'`}
  FROM generate_series(1, ${count}) AS i`
const DEMANDS = `jsonb_build_object('hostname', CASE WHEN i % 3 <> 1 THEN 'host-' || i % 5000 END,
  'project_dir', CASE WHEN i % 3 <> 2 THEN '/dir/' || i % 700 END,
  'tags', jsonb_build_array(CASE WHEN i % 2 = 0 THEN 'bench' ELSE 'cuda' END, 'tag-' || i % 50))`

const STOCKS = {
  plain: [fill(2000, 'pending', 'NULL::jsonb')],
  many: [fill(1_000_000, 'pending', 'NULL::jsonb')],
  unmatched: [fill(100_000, 'pending', DEMANDS), fill(2000, 'pending', 'NULL::jsonb')],
  finished: [fill(300_000, 'completed', 'NULL::jsonb'), fill(2000, 'pending', 'NULL::jsonb')],
}
type Stock = keyof typeof STOCKS

async function openStock(url: string, statements: string[]): Promise<Engine> {
  const engine = await openPostgresEngine({ url, durability: 'normal' })
  await register(engine, 'runner')
  const shell = new pg.Client({ connectionString: url, options: '-c runqueue.hint=off' })
  await shell.connect()
  await shell.query(
    "INSERT INTO runqueue.sessions (session_id, status, created_at, updated_at) VALUES ('ses_stock', 'pending', '', '')",
  )
  for (const statement of statements) await shell.query(statement)
  await shell.query('VACUUM ANALYZE runqueue.runs')
  await shell.end()
  return engine
}

/** @returns the p50 of claims, one after the other, in ms */
async function claimTime(engine: Engine): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < CLAIMS; i++) {
    const claim = { runner_id: 'runner', limit: 1, claim_key: null, tokens: [newClaimToken()] }
    const at = performance.now()
    const [run] = await engine.runs.claim(claim, now())
    times.push(performance.now() - at)
    if (run?.demands !== null) throw new Error('claimed a run that it should not have')
  }
  return quantile(times, 0.5)
}

export async function flatnessFigures(server: string): Promise<Figure[]> {
  const engines: [Stock, Engine][] = []
  const measure = async (stocks: [Stock, string[]][]): Promise<Record<Stock, number[]>> => {
    const [next, ...rest] = stocks
    if (!next) {
      for (const [, engine] of engines) await claimTime(engine)
      const named = engines.map(([name, engine]) => [name, () => claimTime(engine)])
      return await inTurn(Object.fromEntries(named) as Record<Stock, () => Promise<number>>)
    }
    const [name, statements] = next
    return await withDatabase(server, async (url) => {
      say(`  filling: ${name}`)
      const engine = await openStock(url, statements)
      engines.push([name, engine])
      try {
        return await measure(rest)
      } finally {
        await engine.close()
      }
    })
  }
  const times = await measure(Object.entries(STOCKS) as [Stock, string[]][])
  const figure = (what: string, name: Stock, bar: number, aim: number): Figure => ({
    what: `PostgreSQL, claim p50: ${what} / 2 000 pending`,
    value: medianRatio(times[name], times.plain),
    ...{ unit: '×' as const, bar, aim, better: 'less' as const },
    detail: `${median(times[name]).toFixed(3)} ms / ${median(times.plain).toFixed(3)} ms`,
  })
  return [
    figure('1 000 000 pending', 'many', 1.5, 1.1),
    figure('100 000 pending that it cannot take', 'unmatched', 3, 1.5),
    figure('300 000 finished', 'finished', 1.5, 1.1),
  ]
}
