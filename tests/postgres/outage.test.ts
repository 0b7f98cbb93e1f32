/** PostgreSQL goes away and comes back, with real processes on both sides. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { type Api, apiOf } from '../http/support/api.ts'
import type { Added, Claimed } from '../http/support/service.ts'
import { type ServerProcess, startServe } from '../server/process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { createPostgresServer, type PostgresServer } from './support/server.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
const RUN = { type: 'start_session', prompt: 'hello' }

async function startPostgres(): Promise<PostgresServer> {
  const postgres = await createPostgresServer()
  onTestFinished(() => postgres.remove())
  await postgres.start()
  return postgres
}

const serve = ({ url }: PostgresServer): Promise<ServerProcess> =>
  startServe({
    folder: tempDir(),
    environment: { DATABASE_URL: url, RUNNER_POLL_TIMEOUT: '50', RUN_RECOVERY_THRESHOLD: '0' },
  })

/** Adds runs, several at a time, until it is told to stop. */
function keepAdding(api: Api) {
  const acknowledged: string[] = []
  const refused: { status: number; code: unknown; retryAfter: string | null }[] = []
  let stopped = false
  const adders = Array.from({ length: 8 }, async () => {
    while (!stopped) {
      const { status, body, headers } = await api.post<Added & { code: string }>('/runs', RUN)
      if (status === 201) acknowledged.push(body.run_id)
      else {
        refused.push({ status, code: body.code, retryAfter: headers.get('retry-after') })
        await pause(20)
      }
    }
  })
  return {
    acknowledged,
    refused,
    async stop() {
      stopped = true
      await Promise.all(adders)
    },
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not come to that')
    await pause(10)
  }
}

async function storedRuns(api: Api): Promise<Set<string>> {
  const stored = new Set<string>()
  let cursor = ''
  do {
    const query = `/runs?limit=1000${cursor && `&cursor=${cursor}`}`
    const { body } = await api.get<{ runs: RunView[]; next_cursor: string | null }>(query)
    for (const { run_id } of body.runs) stored.add(run_id)
    cursor = body.next_cursor ?? ''
  } while (cursor)
  return stored
}

test.each([
  ['killed', (postgres: PostgresServer) => postgres.kill()],
  ['restarted in order', (postgres: PostgresServer) => postgres.stop('SIGINT')],
] as const)('PostgreSQL is %s in the midst of work', async (_, end) => {
  const postgres = await startPostgres()
  const server = await serve(postgres)
  const api = apiOf(server.url)
  const registered = await api.post<{ runner_id: string }>('/runner/register', {
    ...RUNNER,
    require_matching_tags: true,
    tags: ['late'],
  })
  const { runner_id } = registered.body
  const polling = api.get<{ run: RunView }>(`/runner/runs?runner_id=${runner_id}`)
  const adding = keepAdding(api)
  await until(() => adding.acknowledged.length > 100)

  await end(postgres)
  await until(() => adding.refused.length > 20)
  for (const { status, code, retryAfter } of adding.refused) {
    expect({ status, code }).toEqual({ status: 503, code: 'database_unavailable' })
    expect(Number(retryAfter)).toBeGreaterThan(0)
  }
  const before = adding.acknowledged.length
  await postgres.start()
  await until(() => adding.acknowledged.length > before + 100)
  await adding.stop()

  const stored = await storedRuns(api)
  expect(adding.acknowledged.filter((run_id) => !stored.has(run_id))).toEqual([])
  // The poll that waited all the while hears of what comes now.
  const late = { ...RUN, additional_demands: { tags: ['late'] } }
  const { run_id } = (await api.post<Added>('/runs', late)).body
  expect((await polling).body.run?.run_id).toBe(run_id)
})

test('a server that is killed loses nothing that it acknowledged, and others go on', async () => {
  const postgres = await startPostgres()
  const [first, second] = [await serve(postgres), await serve(postgres)]
  const [before, after] = [apiOf(first.url), apiOf(second.url)]
  const { runner_id } = (await before.post<{ runner_id: string }>('/runner/register', RUNNER)).body
  await before.post('/runs', RUN)
  const claim = { runner_id, claim_key: 'c1' }
  const claimed = (await before.post<Claimed>('/runner/runs/claim', claim)).body

  const acknowledged: string[] = []
  // Each goes on until the server is gone, so that it is killed in the midst of their requests.
  const adding = Array.from({ length: 20 }, async () => {
    for (;;) {
      const { status, body } = await before.post<Added>('/runs', RUN)
      if (status === 201) acknowledged.push(body.run_id)
      if (acknowledged.length === 200) first.kill('SIGKILL')
    }
  })
  const outcomes = await Promise.allSettled(adding)
  expect(outcomes.map(({ status }) => status)).toEqual(adding.map(() => 'rejected'))
  await first.ended

  const stored = await storedRuns(after)
  expect(acknowledged.filter((run_id) => !stored.has(run_id))).toEqual([])
  expect((await after.post('/runner/runs/claim', claim)).body).toEqual(claimed)
})
