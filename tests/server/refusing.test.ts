/** A server that cannot start says in a sentence why, and what to do. */
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { timestamp } from '../../src/queue/time.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { aNewToken } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere, urlOf } from './in-process.ts'
import { spawnServe } from './process.ts'

const isRoot = process.getuid?.() === 0

async function portInUse(): Promise<number> {
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  return (other.address() as AddressInfo).port
}

async function withSqlite(path: string, statement: string): Promise<void> {
  const Driver = await loadDriver()
  const client = new Driver(path)
  client.exec(statement)
  client.close()
}

/** Makes something at this path that is not to be opened. */
const FILES: Record<string, [make: (path: string) => void | Promise<void>, ...says: RegExp[]]> = {
  'a file that is no database': [
    (path) => writeFileSync(path, 'remember the milk\n'.repeat(100)),
    /is not a SQLite database/,
    /name another file in DATABASE_URL/,
  ],
  'the database of another program': [
    (path) => withSqlite(path, 'CREATE TABLE songs (title TEXT)'),
    /is the SQLite database of another program/,
    /another file in DATABASE_URL/,
  ],
  'a newer schema': [
    async (path) => {
      await (await openSqliteEngine({ url: `file:${path}` })).close()
      await withSqlite(
        path,
        `INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9e15)`,
      )
    },
    /was written by a newer version/,
    /Update runqueue/,
  ],
  'a damaged database': [
    async (path) => {
      await (await openSqliteEngine({ url: `file:${path}` })).close()
      // Behind the header, so that it still looks like a database.
      writeFileSync(path, readFileSync(path).fill(0xff, 100))
    },
    /is damaged/,
    /backup/,
  ],
  'a folder in place of the file': [
    (path) => mkdirSync(path),
    /cannot write/,
    /another file in DATABASE_URL/,
  ],
}

describe('it does not start on', () => {
  test.each(Object.entries(FILES))('%s', async (_, [make, ...says]) => {
    const path = join(tempDir(), 'queue.db')
    await make(path)
    const starting = startHere({ DATABASE_URL: `file:${path}` })
    await expect(starting).rejects.toMatchObject({ name: 'DatabaseOpenError' })
    const message = await starting.catch((error: Error) => error.message)
    for (const words of [path, ...says]) expect(message).toMatch(words)
  })

  test('a file in place of the folder', async () => {
    const path = join(tempDir(), 'data')
    writeFileSync(path, '')
    const DATABASE_URL = `file:${path}/queue.db`
    await expect(startHere({ DATABASE_URL })).rejects.toThrow(/cannot write .*DATABASE_URL/)
  })

  test.skipIf(isRoot)('a folder that may not be written', async () => {
    const path = tempDir()
    chmodSync(path, 0o555)
    onTestFinished(() => chmodSync(path, 0o755))
    const DATABASE_URL = `file:${path}/queue.db`
    await expect(startHere({ DATABASE_URL })).rejects.toThrow(/Check that this user may write/)
  })

  test('a file that is no database, which it leaves as it is', async () => {
    const path = join(tempDir(), 'notes.txt')
    const notes = 'remember the milk\n'.repeat(100)
    writeFileSync(path, notes)
    await startHere({ DATABASE_URL: `file:${path}` }).catch(() => {})
    expect(readFileSync(path, 'utf8')).toBe(notes)
  })

  test('an address of another machine', async () => {
    const DATABASE_URL = urlOf(tempDir())
    const engine = await openSqliteEngine({ url: DATABASE_URL })
    await engine.tokens.create(aNewToken(), timestamp(new Date()))
    await engine.close()
    const starting = startHere({ HOST: '203.0.113.1', DATABASE_URL })
    await expect(starting).rejects.toThrow(/203\.0\.113\.1 is not an address .*--host or HOST/)
  })

  test('a port in use', async () => {
    const PORT = String(await portInUse())
    const starting = startHere({ PORT })
    await expect(starting).rejects.toThrow(/port \d+ on 127\.0\.0\.1 is in use.*--port or PORT/)
  })
})

describe('the process says it on stderr, without a stack trace, and fails', () => {
  test.each([
    [
      'port',
      async () => ({ args: ['--port', String(await portInUse())] }),
      1,
      /^error: port \d+ on 127\.0\.0\.1 is in use.*\n$/,
    ],
    [
      'database',
      async (folder: string) => {
        writeFileSync(join(folder, 'notes.txt'), 'remember the milk\n'.repeat(100))
        return { args: ['--database', 'file:./notes.txt'] }
      },
      1,
      /^error: .*notes\.txt is not a SQLite database.*\n$/,
    ],
    [
      'environment and flags, every mistake at once',
      async () => ({
        args: ['--port', '70000'],
        environment: { RUN_CLAIM_TIMEOUT: '-1', RUNNER_POLL_TIMEOUT: '30s' },
      }),
      2,
      /^error: PORT must be.*'70000'\n(.*\n)?RUNNER_POLL_TIMEOUT .*'30s'\n(.*\n)?RUN_CLAIM_TIMEOUT .*'-1'\n.*\n$/,
    ],
  ])('%s', async (_, prepare, code, says) => {
    const folder = tempDir()
    const { ended } = spawnServe({ folder, ...(await prepare(folder)) })
    const outcome = await ended
    expect(outcome).toMatchObject({ code, signal: null, stdout: '' })
    expect(outcome.stderr).toMatch(says)
  })
})
