/** SIGTERM and Ctrl-C: the way out. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { apiOf } from '../http/support/api.ts'
import { rawConnection, request } from '../http/support/raw.ts'
import { tempDir } from '../support/temp-dir.ts'
import { settlesWithin, startServe } from './process.ts'

const RUNNER = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
const RUN = JSON.stringify({ type: 'start_session', prompt: 'hello' })

/** Half of what a server that leaves gives to requests at hand, and a sixth of what polls wait. */
const SOON_MS = 5_000

/** Resolves when the server has heard that it is to go: it takes no new connection. */
const leaves = (url: string) =>
  expect.poll(() => rawConnection(url).then(() => 'connected', String)).toContain('ECONNREFUSED')

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

async function register(url: string): Promise<string> {
  const { body } = await apiOf(url).post<{ runner_id: string }>('/runner/register', RUNNER)
  return body.runner_id
}

test('SIGTERM: polls are answered at once, what is at hand is finished, then it ends', async () => {
  const folder = tempDir()
  const server = await startServe({ folder })
  const api = apiOf(server.url)
  const runner_id = await register(server.url)
  const polling = api.get(`/runner/runs?runner_id=${runner_id}`)
  const claiming = api.post('/runner/runs/claim', { runner_id, wait_seconds: 30 })
  const { write, answer } = await rawConnection(server.url)
  const adding = request('POST', '/runs', RUN, ['Connection: close'])
  // Browsers and clients open connections ahead, which hold nobody up.
  await rawConnection(server.url)
  write(adding.slice(0, -10))
  // A request that came after the others has been answered, so that they have been heard.
  await api.get('/health')
  server.kill('SIGTERM')
  expect(await settlesWithin(SOON_MS, Promise.all([polling, claiming]))).toBe(true)
  expect(await polling).toMatchObject({ status: 204, text: '' })
  expect(await claiming).toMatchObject({ status: 200, body: { runs: [], deregistered: false } })
  await leaves(server.url)
  write(adding.slice(-10))
  expect((await answer()).status).toBe(201)
  expect(await settlesWithin(SOON_MS, server.ended)).toBe(true)
  const { code, stderr } = await server.ended
  expect(code, stderr).toBe(0)
  expect(stderr).not.toMatch(/"level":50|\n\s+at /)
  // The database is one file again, which may be copied or moved.
  const database = join(folder, 'data', 'runqueue.db')
  expect(sizeOf(database)).toBeGreaterThan(0)
  expect(sizeOf(`${database}-wal`)).toBe(0)
})

test('SIGTERM: what clients sent before it is answered, on old connections and on new ones', async () => {
  const server = await startServe({ folder: tempDir() })
  const runner_id = await register(server.url)
  const body = JSON.stringify({ runner_id })
  const claim = request('POST', '/runner/runs/claim', body)
  const connections = await Promise.all(Array.from({ length: 20 }, () => rawConnection(server.url)))
  const [used, fresh] = [connections.slice(0, 10), connections.slice(10)]
  for (const { write } of used) write(claim)
  for (const { answer } of used) expect((await answer()).status).toBe(200)
  for (const { write } of [...used, ...fresh]) write(claim)
  server.kill('SIGTERM')
  for (const { answer } of [...used, ...fresh]) expect((await answer()).status).toBe(200)
  expect((await server.ended).code).toBe(0)
})

/** Signals itself with the very line that says that it listens. */
const SIGNALS_ITSELF = `data:text/javascript,${encodeURIComponent(`
  const { write } = process.stdout
  process.stdout.write = function (text, ...rest) {
    const written = write.call(this, text, ...rest)
    if (String(text).includes('listens on')) process.kill(process.pid, 'SIGTERM')
    return written
  }`)}`

test('SIGTERM as soon as it says that it listens is heard', async () => {
  const environment = { NODE_OPTIONS: `--import=${SIGNALS_ITSELF}` }
  const server = await startServe({ folder: tempDir(), environment })
  const { code, signal, stderr } = await server.ended
  expect({ code, signal }).toEqual({ code: 0, signal: null })
  expect(stderr).toContain('SIGTERM: finishing requests')
})

test('Ctrl-C, and again: it ends at once', async () => {
  const server = await startServe({ folder: tempDir() })
  const { write } = await rawConnection(server.url)
  write(request('POST', '/runs', RUN).slice(0, -10))
  await apiOf(server.url).get('/health')
  server.kill('SIGINT')
  await leaves(server.url)
  // The request at hand holds it.
  expect(await settlesWithin(200, server.ended)).toBe(false)
  server.kill('SIGINT')
  expect(await settlesWithin(SOON_MS, server.ended)).toBe(true)
  const { code, stdout } = await server.ended
  // Nobody is there who would read first steps.
  expect({ code, stdout }).toEqual({
    code: 130,
    stdout: expect.stringMatching(/^.*listens on.*\n$/),
  })
})
