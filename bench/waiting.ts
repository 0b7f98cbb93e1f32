/** Runners that wait: how soon they are woken, and what they cost while there is nothing. */
import { join } from 'node:path'
import { HttpConnection } from './http-connection.ts'
import { cpuMs, startQueueServer } from './server-process.ts'
import { type Figure, median, quantile, say, withFolder } from './support.ts'

const WAITERS = 500
const RUNS = 400
const REPEATS = 3
const IDLE_MS = 10_000

interface Waiting {
  connection: HttpConnection
  runner_id: string
}

async function register(url: string, index: number): Promise<Waiting> {
  const connection = await HttpConnection.open(url)
  const answer = await connection.post('/runner/register', {
    hostname: `host-${index}`,
    project_dir: '/bench',
    executor_profile: 'default',
    executor: { type: 'shell', command: 'true' },
  })
  const { runner_id } = JSON.parse(answer.body) as { runner_id: string }
  return { connection, runner_id }
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Two servers on one file, half of the runners at each; runs are added at one, for runners at the other. */
async function wakeTimes(folder: string): Promise<number[]> {
  const database = join(folder, 'q.db')
  const servers = [await startQueueServer(database), await startQueueServer(database)]
  const [first, second] = servers
  if (!first || !second) throw new Error('no servers')
  const waiting = await Promise.all(
    Array.from({ length: WAITERS }, (_, i) => register(i % 2 ? first.url : second.url, i)),
  )
  const client = await HttpConnection.open(second.url)
  const added = new Map<string, number>()
  const times: number[] = []
  let over = false
  const polls = waiting.map(async ({ connection, runner_id }) => {
    while (!over) {
      const answer = await connection.get(`/runner/runs?runner_id=${runner_id}`)
      const at = performance.now()
      if (answer.status !== 200) continue
      const { run } = JSON.parse(answer.body) as { run?: { run_id: string } }
      const since = run && added.get(run.run_id)
      if (since !== undefined) times.push(at - since)
    }
  })
  await wait(1000)
  for (let i = 0; i < RUNS; i++) {
    const at = performance.now()
    // Those at the first server have the odd numbers.
    const additional_demands = { hostname: `host-${((i * 2) % WAITERS) + 1}` }
    const run = { type: 'start_session', prompt: 'x', additional_demands }
    const { body } = await client.post('/runs', run)
    added.set((JSON.parse(body) as { run_id: string }).run_id, at)
    await wait(10)
  }
  await wait(500)
  over = true
  for (const { connection } of waiting) connection.close()
  await Promise.allSettled(polls.map((poll) => Promise.race([poll, wait(100)])))
  client.close()
  for (const server of servers) await server.stop()
  return times
}

async function idleCpu(folder: string): Promise<number> {
  const server = await startQueueServer(join(folder, 'q.db'))
  const waiting = await Promise.all(
    Array.from({ length: WAITERS }, (_, i) => register(server.url, i)),
  )
  for (const { connection, runner_id } of waiting) {
    connection.get(`/runner/runs?runner_id=${runner_id}`).catch(() => {})
  }
  await wait(1500)
  const before = cpuMs(server.pid)
  await wait(IDLE_MS)
  const percent = ((cpuMs(server.pid) - before) / IDLE_MS) * 100
  for (const { connection } of waiting) connection.close()
  await server.stop()
  return percent
}

export async function waitingFigures(): Promise<Figure[]> {
  say(`  ${WAITERS} waiting runners, runs from the other process`)
  const repeats: number[][] = []
  for (let i = 0; i < REPEATS; i++) repeats.push(await withFolder(wakeTimes))
  say(`  ${WAITERS} waiting runners, nothing to do`)
  const idle: number[] = []
  for (let i = 0; i < REPEATS; i++) idle.push(await withFolder(idleCpu))
  const p50 = median(repeats.map((times) => quantile(times, 0.5)))
  const p99 = median(repeats.map((times) => quantile(times, 0.99)))
  const detail = `${repeats.flat().length} runs that crossed from one process to the other`
  const common = { unit: 'ms', better: 'less', detail } as const
  return [
    { what: `POST /runs → a waiting runner has it, p50`, value: p50, bar: 15, aim: 5, ...common },
    { what: `POST /runs → a waiting runner has it, p99`, value: p99, bar: 50, aim: 50, ...common },
    {
      what: `CPU of a server with ${WAITERS} runners waiting and nothing to do`,
      value: median(idle),
      unit: '%',
      bar: 3,
      aim: 1,
      better: 'less',
      detail: `of one core, over ${IDLE_MS / 1000} s: ${idle.map((value) => value.toFixed(1)).join(', ')}`,
    },
  ]
}
