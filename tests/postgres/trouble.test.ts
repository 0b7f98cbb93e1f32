/** What the world does to PostgreSQL, beside ending it: a full disk, a network that swallows everything. */
import { randomBytes } from 'node:crypto'
import { chownSync, mkdirSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test, vi } from 'vitest'
import { Database, targetOf } from '../../src/postgres/database.ts'
import { openPostgresEngine } from '../../src/postgres/engine.ts'
import { canMount, leftOut, smallDisk } from '../server/small-disk.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import { openShell } from './fixture.ts'
import { createPostgresServer, NOBODY } from './support/server.ts'

const NOW = '2026-01-01T00:00:00.000Z'
const large = () => aNewRun({ parameters: { prompt: randomBytes(10_000).toString('hex') } })

test.skipIf(!canMount)(
  `a disk that is full is said so, and over when there is space again${leftOut}`,
  async () => {
    const postgres = await createPostgresServer()
    onTestFinished(() => postgres.remove())
    await postgres.start()
    const disk = smallDisk(24)
    const folder = join(disk.folder, 'tables')
    mkdirSync(folder)
    chownSync(folder, NOBODY, NOBODY)
    const engine = await openPostgresEngine({ url: postgres.url })
    onTestFinished(() => engine.close())
    const shell = await openShell(postgres.url)
    onTestFinished(() => shell.end())
    // The tables only: without room for its log PostgreSQL ends, which is another test.
    await shell.query(`CREATE TABLESPACE small LOCATION '${folder}'`)
    await shell.query('ALTER TABLE runs SET TABLESPACE small')
    disk.take()

    const added: string[] = []
    const addUntilFull = async () => {
      for (let i = 0; i < 1000; i++) added.push((await engine.runs.add(large(), NOW)).run.run_id)
    }
    const refused = await refusal(addUntilFull(), 'database_full')
    expect(refused.message).toMatch(/no room left/)
    for (const run_id of added) expect(await engine.runs.get(run_id)).not.toBeNull()

    disk.free()
    for (let i = 0; i < 5; i++) await engine.runs.add(large(), NOW)
    expect(await engine.runs.pending(1000)).toHaveLength(added.length + 5)
  },
)

/** In front of PostgreSQL; swallows what comes, from either side, while it is told to. */
async function swallowingProxy(url: string) {
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  let isSwallowing = false
  const forward = (from: Socket, to: Socket) => {
    sockets.push(from)
    from.on('error', () => {})
    from.on('close', () => to.destroy())
    from.on('data', (data) => void (isSwallowing || to.write(data)))
  }
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname)
    forward(client, server)
    forward(server, client)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => proxy.once('listening', resolve))
  onTestFinished(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  const proxied = new URL(url)
  proxied.port = String((proxy.address() as AddressInfo).port)
  const swallow = (whether: boolean) => {
    isSwallowing = whether
  }
  return { url: proxied.href, swallow }
}

/** By a clock that the test moves on, so that PostgreSQL has all the time that it needs. */
const SILENCE_MS = 10_000

test('a network that swallows everything is waited for so long only, and used again when it is back', async () => {
  const proxy = await swallowingProxy(inject('postgresUrl'))
  const { config, settings } = targetOf(proxy.url, 'full')
  const hasty = { query_timeout: SILENCE_MS, connectionTimeoutMillis: SILENCE_MS }
  const database = new Database({ config: { ...config, ...hasty }, settings })
  onTestFinished(() => database.close())
  const ask = () => database.run((on) => on.query({ text: 'SELECT 1' }))
  const many = () => Promise.all(Array.from({ length: 5 }, ask))
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  await many()
  proxy.swallow(true)
  const began = performance.now()
  const moving = setInterval(() => void vi.advanceTimersByTime(SILENCE_MS / 10), 5)
  // By a connection that is there, and by a new one; of several statements, the rest; in a transaction, too.
  const inSteps = database.run(async (on) => {
    await refusal(many(), 'database_unavailable')
    await on.query({ text: 'SELECT 1' })
  })
  await refusal(inSteps, 'database_unavailable')
  await refusal(ask(), 'database_unavailable')
  const twice = (on: { query: (config: { text: string }) => Promise<unknown> }) =>
    on.query({ text: 'SELECT 1' })
  await refusal(database.transaction(twice), 'database_unavailable')
  clearInterval(moving)
  expect(performance.now() - began).toBeLessThan(10 * SILENCE_MS)
  proxy.swallow(false)
  // None of the connections of before, whose answers never come, is used.
  await many()
})
