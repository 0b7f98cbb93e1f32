/** Law 4: a claim costs the same whatever is stored. */
import { join } from 'node:path'
import { newClaimToken } from '../src/queue/ids.ts'
import { loadDriver } from '../src/sqlite/driver.ts'
import { openSqliteEngine } from '../src/sqlite/engine.ts'
import { type Figure, median, now, quantile, register, say, withFolder } from './support.ts'

interface Stock {
  name: string
  pending?: number
  unmatched?: number
  finished?: number
}

const CLAIMS = 500
const REPEATS = 3

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

interface Cost {
  p50: number
  p99: number
}

/** In milliseconds, the median of the repeats. */
async function claimCost(stock: Stock): Promise<Cost> {
  say(`  claim with ${stock.name}`)
  return await withFolder(async (folder) => {
    const path = join(folder, 'queue.db')
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
    client.exec(fill(pending + CLAIMS * (REPEATS + 1), 'pending', 'NULL'))
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
    await claimSome()
    const repeats: number[][] = []
    for (let i = 0; i < REPEATS; i++) repeats.push(await claimSome())
    await engine.close()
    return {
      p50: median(repeats.map((times) => quantile(times, 0.5))),
      p99: median(repeats.map((times) => quantile(times, 0.99))),
    }
  })
}

export async function claimFigures(): Promise<Figure[]> {
  const plain = await claimCost({ name: '1 000 pending', pending: 1000 })
  const million = await claimCost({ name: '1 000 000 pending', pending: 1_000_000 })
  const unmatched = await claimCost({
    name: '1 000 pending behind 100 000 that this runner cannot take',
    pending: 1000,
    unmatched: 100_000,
  })
  const finished = await claimCost({
    name: '1 000 pending and 1 000 000 finished',
    pending: 1000,
    finished: 1_000_000,
  })
  const ms = (value: number) => `${value.toFixed(3)} ms`
  const ratio = (what: string, cost: Cost, bar: number, aim: number): Figure => ({
    what: `claim p50: ${what} / 1 000 pending`,
    value: cost.p50 / plain.p50,
    unit: '×',
    bar,
    aim,
    better: 'less',
    detail: `${ms(cost.p50)} / ${ms(plain.p50)}`,
  })
  return [
    ratio('1 000 000 pending', million, 1.5, 1.1),
    ratio('100 000 pending that it cannot take', unmatched, 3, 1.5),
    ratio('1 000 000 finished', finished, 1.5, 1.1),
    {
      what: 'claim p99, the worst of these',
      value: Math.max(plain.p99, million.p99, unmatched.p99, finished.p99),
      unit: 'ms',
      bar: 5,
      aim: 1,
      better: 'less',
      detail: [plain, million, unmatched, finished].map((cost) => ms(cost.p99)).join(', '),
    },
  ]
}
