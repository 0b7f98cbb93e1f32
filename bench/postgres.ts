/**
 * PostgreSQL: claims by many at once, beside other queues on the same server, which does not answer
 * before a commit is on the disk. All do the same durable work: each of 16 claimers takes one job, with
 * a commit, completes it, with a commit, and takes the next; each queue has one process and 10
 * connections. graphile-worker's are those of its own worker (concurrency 16, and, as it comes, no
 * local queue and no batches of completions); pg-boss's call fetch and complete. runqueue's call the
 * engine as a server does; what comes while others are under way goes in one statement with its kind.
 * Here a run has a session, which follows, and a history, which jobs elsewhere have not.
 */
import { Logger, makeWorkerUtils, run as runGraphile } from 'graphile-worker'
import PgBoss from 'pg-boss'
import { openPostgresEngine } from '../src/postgres/engine.ts'
import { newClaimToken } from '../src/queue/ids.ts'
import { createPostgresServer } from '../tests/postgres/support/server.ts'
import { addPending, withDatabase } from './postgres-database.ts'
import { serversFigures } from './postgres-servers.ts'
import { flatnessFigures } from './postgres-stock.ts'
import { type Figure, inTurn, median, medianRatio, now, register } from './support.ts'

const CLAIMERS = 16
const JOBS = 4000

const silent = new Logger(() => () => {})

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
  await addPending(url, JOBS)
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

async function claimFigures(server: string): Promise<Figure[]> {
  const rates = await inTurn({
    runqueue: () => withDatabase(server, runqueueRate),
    'pg-boss': () => withDatabase(server, pgBossRate),
    'graphile-worker': () => withDatabase(server, graphileRate),
  })
  const to = (name: 'pg-boss' | 'graphile-worker'): Figure => ({
    what: `PostgreSQL, ${CLAIMERS} claimers at once: runs claimed and completed / ${name}'s jobs`,
    value: medianRatio(rates.runqueue, rates[name]),
    ...{ unit: '×', bar: 1, aim: 1.5, better: 'more' },
    detail: `${median(rates.runqueue).toFixed(0)}/s / ${median(rates[name]).toFixed(0)}/s`,
  })
  return [to('pg-boss'), to('graphile-worker')]
}

export async function postgresFigures(): Promise<Figure[]> {
  const postgres = await createPostgresServer({})
  await postgres.start()
  try {
    return [
      ...(await claimFigures(postgres.url)),
      ...(await serversFigures(postgres.url)),
      ...(await flatnessFigures(postgres.url)),
    ]
  } finally {
    await postgres.remove()
  }
}
