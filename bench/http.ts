/** Whole lifecycles over HTTP, against a bare handler on the same server. */
import { join } from 'node:path'
import type { Durability } from '../src/queue/engine.ts'
import { HttpConnection } from './http-connection.ts'
import { rssMb, type ServerProcess, startEchoServer, startQueueServer } from './server-process.ts'
import { type Figure, inTurn, median, medianRatio, REPEATS, say, withFolder } from './support.ts'

const CONNECTIONS = 64
const DURATION_MS = 4000
const WARM_UP_MS = 1500
/** With its keys and quotes it makes a body of some 300 bytes. */
const PROMPT = 'summarise the report and send it to the team. '.repeat(5)
const ADD = { type: 'start_session', prompt: PROMPT, agent_name: 'bench' }

/** One caller's step; returns how many requests it made. */
type Step = (connection: HttpConnection, caller: number) => Promise<number>

async function requestRate(url: string, step: Step, prepare?: Step): Promise<number> {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => HttpConnection.open(url)),
  )
  for (const [caller, connection] of connections.entries()) await prepare?.(connection, caller)
  let requests = 0
  const run = async (milliseconds: number) => {
    requests = 0
    const start = performance.now()
    await Promise.all(
      connections.map(async (connection, caller) => {
        while (performance.now() - start < milliseconds) {
          const made = await step(connection, caller)
          requests += made
        }
      }),
    )
    return requests / ((performance.now() - start) / 1000)
  }
  await run(WARM_UP_MS)
  const rate = await run(DURATION_MS)
  for (const connection of connections) connection.close()
  return rate
}

const echo: Step = async (connection) => {
  await connection.post('/echo', ADD)
  return 1
}

const runnerIds: string[] = []
const registerCaller: Step = async (connection, caller) => {
  const answer = await connection.post('/runner/register', {
    hostname: `host-${caller}`,
    project_dir: '/bench',
    executor_profile: 'default',
    executor: { type: 'shell', command: 'true' },
  })
  runnerIds[caller] = (JSON.parse(answer.body) as { runner_id: string }).runner_id
  return 1
}

interface Claimed {
  runs: { run_id: string; claim_token: string }[]
}

const lifecycle: Step = async (connection, caller) => {
  const runner_id = runnerIds[caller]
  await connection.post('/runs', ADD)
  const answer = await connection.post('/runner/runs/claim', { runner_id })
  const [run] = (JSON.parse(answer.body) as Claimed).runs
  if (!run) return 2
  const report = { runner_id, claim_token: run.claim_token }
  await connection.post(`/runner/runs/${run.run_id}/started`, report)
  const done = await connection.post(`/runner/runs/${run.run_id}/completed`, report)
  if (done.status !== 200) throw new Error(`completed was answered ${done.status}: ${done.body}`)
  return 4
}

async function stopped<T>(server: ServerProcess, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    await server.stop()
  }
}

async function echoRate(): Promise<number> {
  const server = await startEchoServer()
  return await stopped(server, () => requestRate(server.url, echo))
}

const lifecycleRate = (durability: Durability) => async (folder: string) => {
  const server = await startQueueServer(join(folder, 'q.db'), { DURABILITY: durability })
  return await stopped(server, () => requestRate(server.url, lifecycle, registerCaller))
}

export async function httpFigures(): Promise<Figure[]> {
  const { bare, full, normal } = await inTurn({
    bare: echoRate,
    full: lifecycleRate('full'),
    normal: lifecycleRate('normal'),
  })
  const perSecond = (rates: number[]) => `${Math.round(median(rates))} requests/s`
  return [
    {
      what: 'HTTP lifecycles, 64 connections, full / bare handler that echoes',
      value: medianRatio(full, bare),
      unit: '×',
      bar: 0.4,
      aim: 0.55,
      better: 'more',
      detail: `${perSecond(full)} / ${perSecond(bare)}`,
    },
    {
      what: 'HTTP lifecycles, 64 connections, full / normal',
      value: medianRatio(full, normal),
      unit: '×',
      bar: 0.8,
      aim: 0.95,
      better: 'more',
      detail: `${perSecond(full)} / ${perSecond(normal)}`,
    },
  ]
}

/**
 * What stays in memory of what is done and gone. The heap of the engine's thread is collected when V8
 * thinks it worth while, some 50 000 lifecycles apart: up to then it grows by what survived by chance.
 */
export async function memoryFigures(): Promise<Figure[]> {
  const grown: { early: number; late: number }[] = []
  for (let round = 1; round <= REPEATS; round++) {
    say(`  100 000 lifecycles (${round} of ${REPEATS})`)
    grown.push(await withFolder(memoryOf))
  }
  return [
    {
      what: 'RSS after 100 000 finished lifecycles − after 10 000',
      value: median(grown.map(({ early, late }) => late - early)),
      unit: 'MB',
      bar: 10,
      aim: 1,
      better: 'less',
      detail: grown.map(({ early, late }) => `${late.toFixed(0)} − ${early.toFixed(0)}`).join(', '),
    },
  ]
}

/** Resident memory of a server after 10 000 and after 100 000 lifecycles, in MB. */
async function memoryOf(folder: string): Promise<{ early: number; late: number }> {
  const server = await startQueueServer(join(folder, 'q.db'), { DURABILITY: 'normal' })
  return await stopped(server, async () => {
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => HttpConnection.open(server.url)),
    )
    for (const [caller, connection] of connections.entries()) {
      await registerCaller(connection, caller)
    }
    let left = 0
    const until = async (lifecycles: number) => {
      left += lifecycles
      await Promise.all(
        connections.map(async (connection, caller) => {
          while (left > 0) {
            left -= 1
            await lifecycle(connection, caller)
          }
        }),
      )
      return rssMb(server.pid)
    }
    const early = await until(10_000)
    const late = await until(90_000)
    for (const connection of connections) connection.close()
    return { early, late }
  })
}
