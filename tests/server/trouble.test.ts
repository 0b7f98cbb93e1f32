/** The file is locked, damaged or gone bad: what servers say, and that they go on. */

import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { createApp } from '../../src/http/app.ts'
import { timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { apiOf, type Body } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { aNewRun } from '../support/factories.ts'
import { forkModule } from '../support/fork.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere, urlOf } from './in-process.ts'
import { settlesWithin, spawnServe, startServe } from './process.ts'
import { canMount, leftOut, smallDisk } from './small-disk.ts'

const RUN = { type: 'start_session', prompt: 'hello' }

describe('another process holds the write lock', () => {
  async function lockHolder(path: string) {
    const url = new URL('./lock-holder.mjs', import.meta.url)
    const holder = forkModule<{ sql: string }, unknown>(url, [path])
    await holder.next()
    return async (sql: string) => {
      holder.send({ sql })
      await holder.next()
    }
  }

  test('writes wait for it, reads do not', async () => {
    const folder = tempDir()
    const { url } = await startHere({ DATABASE_URL: urlOf(folder) })
    const { get, post } = apiOf(url)
    const { body } = await post<Added>('/runs', RUN)
    const tell = await lockHolder(join(folder, 'queue.db'))
    await tell('BEGIN IMMEDIATE')
    const waiting = post('/runs', RUN)
    expect((await get(`/runs/${body.run_id}`)).status).toBe(200)
    expect(await settlesWithin(300, waiting)).toBe(false)
    await tell('COMMIT')
    expect((await waiting).status).toBe(201)
  })

  test('for too long: 503 with Retry-After, until it is gone', async () => {
    const path = join(tempDir(), 'queue.db')
    const engine = await openSqliteEngine({ url: path, busyDeadlineMs: 300 })
    onTestFinished(() => engine.close())
    const app = createApp({
      engine,
      config: parseConfig({}),
      now: () => timestamp(new Date()),
      closing: new AbortController().signal,
      onError: () => {},
      log: pino({ level: 'silent' }),
    })
    const add = async () => {
      const headers = { 'content-type': 'application/json' }
      const answer = await app.request('/runs', {
        method: 'POST',
        headers,
        body: JSON.stringify(RUN),
      })
      return { answer, body: (await answer.json()) as Body }
    }
    const tell = await lockHolder(path)
    await tell('BEGIN IMMEDIATE')
    const { answer, body } = await add()
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(body).toMatchObject({
      code: 'database_busy',
      message: 'the database was locked by another process for more than 0.3 s',
    })
    await tell('COMMIT')
    expect((await add()).answer.status).toBe(201)
  })
})

/** A database of some MB, of which a part is overwritten from outside. */
async function damaged(folder: string): Promise<void> {
  const path = join(folder, 'queue.db')
  const engine = await openSqliteEngine({ url: path })
  const parameters = { prompt: 'x'.repeat(3000) }
  const newRuns = () => Array.from({ length: 500 }, () => aNewRun({ parameters }))
  await engine.runs.addMany(newRuns(), '2026-01-31T12:00:00.000Z')
  await engine.runs.addMany(newRuns(), '2026-01-31T12:00:01.000Z')
  await engine.close()
  const { size } = statSync(path)
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(size / 2, 0xff), 0, size / 2, Math.floor(size / 4))
  closeSync(file)
}

test('a file damaged in the middle: 503 in words, never a crash, and the rest goes on', async () => {
  const folder = tempDir()
  await damaged(folder)
  const server = await startServe({
    folder,
    args: ['--database', 'file:queue.db'],
    environment: { RUN_SWEEP_INTERVAL: '0.1', RUNNER_LIFECYCLE_INTERVAL: '0.1' },
  })
  const { get, post } = apiOf(server.url)
  const list = await get('/runs?limit=1000')
  expect(list).toMatchObject({
    status: 503,
    body: {
      code: 'database_unavailable',
      message: expect.stringMatching(/^the database file is damaged: .*restore it from a backup/),
    },
  })
  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const registered = await post<{ runner_id: string }>('/runner/register', runner)
  const { runner_id } = registered.body
  const answers = [registered]
  for (let i = 0; i < 20; i++) {
    answers.push(await post('/runs', RUN), await post('/runner/runs/claim', { runner_id }))
    answers.push(await get('/sessions'), await get(`/runner/runs?runner_id=${runner_id}`))
  }
  for (const { status, text } of answers) expect(status === 503 || status < 500, text).toBe(true)
  expect((await get('/health')).status).toBe(200)
  server.kill('SIGTERM')
  expect((await server.ended).code).toBe(0)
})

test.runIf(canMount)(`a disk that may only be read is refused at the start${leftOut}`, async () => {
  const { folder, lock } = smallDisk(4)
  const engine = await openSqliteEngine({ url: join(folder, 'queue.db') })
  await engine.close()
  lock()
  const { code, stderr } = await spawnServe({ folder, args: ['--database', 'file:queue.db'] }).ended
  expect(stderr).toMatch(/^error: cannot write .*queue\.db .*Check that this user may write.*\n$/)
  expect(code).toBe(1)
})
