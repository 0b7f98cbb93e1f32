/** The disk is full: what servers say, what goes on, and that it is over when there is space again. */
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { RunPage } from '../../src/queue/run-queue.ts'
import { type Answer, type Api, apiOf, type Body } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type ServerProcess, spawnServe, startServe } from './process.ts'
import { canMount, leftOut, MB, smallDisk } from './small-disk.ts'

const PATIENT = { interval: 50 }
const RUN = { type: 'start_session', prompt: 'x'.repeat(20_000) }
/** So that nothing is done by the way while the disk is full. */
const environment = { RUN_SWEEP_INTERVAL: '0.2', RUNNER_LIFECYCLE_INTERVAL: '0.2' }

const add = ({ post }: Api) => post<Added & Body>('/runs', RUN)

/** Adds by several at once, until one is refused. @returns the first refusal */
async function addUntilRefused(api: Api, acknowledged: string[]): Promise<Answer<Body>> {
  let refused: Answer<Body> | undefined
  const caller = async () => {
    while (!refused) {
      expect(acknowledged.length).toBeLessThan(5000)
      const answer = await add(api)
      if (answer.status === 201) acknowledged.push(answer.body.run_id)
      else refused ??= answer
    }
  }
  await Promise.all([caller(), caller(), caller(), caller()])
  return refused ?? expect.fail('none was refused')
}

async function stored({ get }: Api): Promise<Set<string>> {
  const run_ids = new Set<string>()
  let cursor = ''
  do {
    const { body } = await get<RunPage>(`/runs?limit=1000${cursor}`)
    for (const { run_id } of body.runs) run_ids.add(run_id)
    cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
  } while (cursor)
  return run_ids
}

/** From full to not full and through a crash, nothing acknowledged is lost. */
async function survives(
  folder: string,
  server: ServerProcess,
  status: number,
  free: () => void,
): Promise<void> {
  const api = apiOf(server.url)
  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const { body } = await api.post<{ runner_id: string }>('/runner/register', runner)
  const acknowledged: string[] = []
  const refusal = await addUntilRefused(api, acknowledged)
  expect(refusal.status, refusal.text).toBe(status)
  expect(refusal.headers.get('retry-after')).toBe('1')
  const missing = async () => {
    const found = await stored(api)
    return acknowledged.filter((run_id) => !found.has(run_id))
  }
  expect(await missing()).toEqual([])
  expect((await api.get(`/runs/${acknowledged[0]}`)).status).toBe(200)
  expect((await api.get('/health')).status).toBe(200)

  free()
  const addAgain = async () => {
    const { status, body } = await add(api)
    if (status === 201) acknowledged.push(body.run_id)
    return status
  }
  await expect.poll(addAgain, PATIENT).toBe(201)
  for (let i = 0; i < 100; i++) expect(await addAgain()).toBe(201)
  expect(await missing()).toEqual([])
  const claimed = await api.post<{ runs: unknown[] }>('/runner/runs/claim', body)
  expect(claimed.body.runs).toHaveLength(1)

  server.kill('SIGKILL')
  await server.ended
  const again = apiOf((await startServe({ folder, environment })).url)
  const found = await stored(again)
  expect(acknowledged.filter((run_id) => !found.has(run_id))).toEqual([])
}

describe('while serving', () => {
  test.runIf(canMount)(`writes are refused, reads go on, space ends it${leftOut}`, async () => {
    const { folder, take, free } = smallDisk(24)
    take(14 * MB)
    const server = await startServe({ folder, environment })
    await survives(folder, server, 507, free)
  })
})

/** The limit that `ulimit -f` sets, of a process that runs already: no user is too small for that. */
function limitFiles(pid: number, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', `${pid}`, `--fsize=${bytes}:unlimited`], { stdio: 'pipe' })
}
function tryToLimit(): boolean {
  try {
    limitFiles(process.pid, 'unlimited')
    return true
  } catch {
    return false
  }
}
const canLimit = tryToLimit()

test.runIf(canLimit)(
  `writes that the system refuses for another cause${canLimit ? '' : ' (left out: needs prlimit)'}`,
  async () => {
    const folder = tempDir()
    const server = await startServe({ folder, environment })
    limitFiles(server.pid, 6 * MB)
    await survives(folder, server, 503, () => limitFiles(server.pid, 'unlimited'))
  },
)

describe('at the start', () => {
  test.runIf(canMount)(`a new database is refused, and says why${leftOut}`, async () => {
    const { folder, take } = smallDisk(1)
    take()
    const { ended } = spawnServe({ folder, args: ['--database', 'file:queue.db'] })
    const { code, stderr } = await ended
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: the disk that holds .*queue\.db is full\. Make space.*\n$/)
  })

  test.runIf(canMount)(
    `an old database is refused, and starts when there is space${leftOut}`,
    async () => {
      const { folder, take, free } = smallDisk(10)
      const args = ['--database', 'file:queue.db']
      const first = await startServe({ folder, args })
      const { body } = await add(apiOf(first.url))
      first.kill('SIGTERM')
      await first.ended
      take()
      const { code, stderr } = await spawnServe({ folder, args }).ended
      expect(stderr).toMatch(/^error: the disk that holds .*queue\.db is full\. Make space.*\n$/)
      expect(code).toBe(1)
      free()
      const { url } = await startServe({ folder, args })
      expect((await apiOf(url).get(`/runs/${body.run_id}`)).status).toBe(200)
    },
  )
})
