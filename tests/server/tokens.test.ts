/** Tokens with real processes: servers, and the command that makes and revokes them. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { aNewToken } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere } from './in-process.ts'
import { BIN, spawnServe, startServe } from './process.ts'

async function runqueue(folder: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BIN, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] },
  })
  return stdout
}

const status = async (url: string, token?: string) =>
  (await fetch(`${url}/runs`, { headers: token ? { authorization: `Bearer ${token}` } : {} }))
    .status

test('a token counts as soon as it is made, and no more once it is revoked, in every process', async () => {
  const folder = tempDir()
  const [first, second] = await Promise.all([startServe({ folder }), startServe({ folder })])
  const servers = [first.url, second.url]
  for (const url of servers) expect(await status(url)).toBe(200)

  const create = ['token', 'create', '--role', 'client', '--name', 'ci']
  const printed = await runqueue(folder, ...create)
  // Nothing else, so that scripts can take it.
  expect(printed).toMatch(/^rq_[\w-]{43}\n$/)
  const token = printed.trim()
  for (const url of servers) {
    expect(await status(url)).toBe(401)
    expect(await status(url, token)).toBe(200)
  }
  await runqueue(folder, 'token', 'revoke', 'ci')
  for (const url of servers) expect(await status(url, token)).toBe(401)

  first.kill('SIGTERM')
  expect((await first.ended).stderr).toContain('no token yet: every program on this machine')
})

test.each(['0.0.0.0', '::', '::ffff:127.0.0.1', '0'])(
  'without a token it does not listen on %s',
  async (HOST) => {
    const starting = startHere({ HOST })
    await expect(starting).rejects.toThrow(/no token yet.*`runqueue token create .*--host or HOST/)
  },
)

test('the process says so and fails, and listens once there is a token', async () => {
  const folder = tempDir()
  const args = ['--host', '0.0.0.0']
  const { code, stdout, stderr } = await spawnServe({ folder, args }).ended
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^error: other machines can reach 0\.0\.0\.0.*\n$/)

  const DATABASE_URL = `file:${folder}/data/runqueue.db`
  const engine = await openSqliteEngine({ url: DATABASE_URL })
  await engine.tokens.create(aNewToken(), timestamp(new Date()))
  await engine.close()
  const { url } = await startHere({ HOST: '0.0.0.0', DATABASE_URL })
  const here = url.replace('0.0.0.0', '127.0.0.1')
  expect(await status(here)).toBe(401)
})
