/** PostgreSQL: claims by many at once, beside other queues on the same server; and law 4. */
import { Logger, makeWorkerUtils, run as runGraphile } from 'graphile-worker'
import pg from 'pg'
import PgBoss from 'pg-boss'
import { openPostgresEngine } from '../src/postgres/engine.ts'
import type { Engine } from '../src/queue/engine.ts'
import { newClaimToken, newRunId, newSessionId } from '../src/queue/ids.ts'
import { createPostgresServer } from '../tests/postgres/support/server.ts'
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

const CLAIMERS = 16
const JOBS = 4000
const CLAIMS = 300

const silent = new Logger(() => () => {})

let made = 0

/** A database of its own for each measurement, on the one server, which is removed with all of them. */
async function withDatabase<T>(server: string, use: (url: string) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  const name = `bench_${made++}`
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  await admin.end()
  return await use(url.href)
}

/** Each claims one, finishes it, claims the next. @returns jobs a second */
async function claimersAt(work: (claimer: number) => Promise<boolean>): Promise<number> {
  const at = performance.now()
  await Promise.all(
    Array.from({ length: CLAIMERS }, async (_, claimer) => {
      while (await work(claimer)) {}
    }),
  )
  return (JOBS / (performance.now() - at)) * 1000
}

async function runqueueRate(url: string): Promise<number> {
  const engine = await openPostgresEngine({ url })
  for (let i = 0; i < CLAIMERS; i++) await register(engine, `runner-${i}`)
  for (let added = 0; added < JOBS; added += 1000) {
    const batch = Array.from({ length: 1000 }, () => ({
      ...{ run_id: newRunId(), session_id: newSessionId(), type: 'start_session' as const },
      parameters: { prompt: 'x' },
    }))
    await engine.runs.addMany(batch, now())
  }
  const rate = await claimersAt(async (claimer) => {
    const runner_id = `runner-${claimer}`
    const claim = { runner_id, limit: 1, claim_key: null, tokens: [newClaimToken()] }
    const [run] = await engine.runs.claim(claim, now())
    if (!run) return false
    const report = { run_id: run.run_id, runner_id, claim_token: run.claim_token }
    await engine.runs.complete({ ...report, session_status: 'finished', result: null }, now())
    return true
  })
  await engine.close()
  return rate
}

async function pgBossRate(url: string): Promise<number> {
  const boss = new PgBoss({ connectionString: url, max: 10, supervise: false, schedule: false })
  await boss.start()
  await boss.createQueue('bench')
  for (let added = 0; added < JOBS; added += 1000) {
    await boss.insert(
      Array.from({ length: 1000 }, () => ({ name: 'bench', data: { prompt: 'x' } })),
    )
  }
  const rate = await claimersAt(async () => {
    const [job] = await boss.fetch('bench')
    if (!job) return false
    await boss.complete('bench', job.id)
    return true
  })
  await boss.stop({ graceful: false })
  return rate
}

async function graphileRate(url: string): Promise<number> {
  const utils = await makeWorkerUtils({ connectionString: url, logger: silent })
  await utils.migrate()
  await utils.addJobs(
    Array.from({ length: JOBS }, () => ({ identifier: 'bench', payload: { prompt: 'x' } })),
  )
  await utils.release()
  let done = 0
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const at = performance.now()
  const runner = await runGraphile({
    connectionString: url,
    concurrency: CLAIMERS,
    maxPoolSize: 10,
    noHandleSignals: true,
    logger: silent,
    taskList: {
      bench: async () => {
        done += 1
        if (done === JOBS) finish()
      },
    },
  })
  await finished
  const rate = (JOBS / (performance.now() - at)) * 1000
  await runner.stop()
  return rate
}

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
  many: [fill(300_000, 'pending', 'NULL::jsonb')],
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

async function flatnessFigures(server: string): Promise<Figure[]> {
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
    figure('300 000 pending', 'many', 1.5, 1.1),
    figure('100 000 pending that it cannot take', 'unmatched', 3, 1.5),
    figure('300 000 finished', 'finished', 1.5, 1.1),
  ]
}

export async function postgresFigures(): Promise<Figure[]> {
  const postgres = await createPostgresServer({})
  await postgres.start()
  try {
    const rates = await inTurn({
      runqueue: () => withDatabase(postgres.url, runqueueRate),
      'pg-boss': () => withDatabase(postgres.url, pgBossRate),
      'graphile-worker': () => withDatabase(postgres.url, graphileRate),
    })
    const to = (name: 'pg-boss' | 'graphile-worker'): Figure => ({
      what: `PostgreSQL, ${CLAIMERS} claimers at once: runs claimed and completed / ${name}'s jobs`,
      value: medianRatio(rates.runqueue, rates[name]),
      ...{ unit: '×', bar: 1, aim: 1.5, better: 'more' },
      detail: `${median(rates.runqueue).toFixed(0)}/s / ${median(rates[name]).toFixed(0)}/s`,
    })
    return [to('pg-boss'), to('graphile-worker'), ...(await flatnessFigures(postgres.url))]
  } finally {
    await postgres.remove()
  }
}
