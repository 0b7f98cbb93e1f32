/** A server that cannot start says in a sentence why, and what to do. */
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { makeTempDir } from '../support/temp-dir.ts'
import { type Ended, type ServeOptions, spawnServe } from './process.ts'

interface Case {
  /** @returns how the server is started in this folder */
  prepare(folder: string): Promise<Omit<ServeOptions, 'folder'>> | Omit<ServeOptions, 'folder'>
  /** What the sentence names: the trouble, and the way out. */
  says: RegExp[]
  code?: number
  /** A file that must be as it was. */
  untouched?: string
}

const database = (file: string) => ({ args: ['--database', `file:./${file}`] })
const isRoot = process.getuid?.() === 0

const CASES: Record<string, Case> = {
  'a port in use': {
    async prepare() {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      afterAllClose.push(() => other.close())
      return { args: ['--port', String((other.address() as AddressInfo).port)] }
    },
    says: [/port \d+ on 127\.0\.0\.1 is in use/, /--port or PORT/],
  },
  'an address of another machine': {
    prepare: () => ({ args: ['--host', '203.0.113.1'] }),
    says: [/203\.0\.113\.1 is not an address of this machine/, /--host or HOST/],
  },
  'a file that is no database': {
    prepare(folder) {
      writeFileSync(join(folder, 'notes.txt'), 'remember the milk\n'.repeat(100))
      return database('notes.txt')
    },
    says: [/notes\.txt is not a SQLite database/, /another file in DATABASE_URL/],
    untouched: 'notes.txt',
  },
  'the database of another program': {
    async prepare(folder) {
      const Driver = await loadDriver()
      const client = new Driver(join(folder, 'songs.db'))
      client.exec('CREATE TABLE songs (title TEXT)')
      client.close()
      return database('songs.db')
    },
    says: [/songs\.db is the SQLite database of another program/, /another file in DATABASE_URL/],
  },
  'a newer schema': {
    async prepare(folder) {
      const path = join(folder, 'newer.db')
      await (await openSqliteEngine({ url: `file:${path}` })).close()
      const Driver = await loadDriver()
      const client = new Driver(path)
      client.exec(`INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9e15)`)
      client.close()
      return database('newer.db')
    },
    says: [/newer\.db was written by a newer version/, /Update runqueue/],
  },
  'a damaged database': {
    async prepare(folder) {
      const path = join(folder, 'damaged.db')
      await (await openSqliteEngine({ url: `file:${path}` })).close()
      const bytes = readFileSync(path)
      // Behind the header, so that it still looks like a database.
      writeFileSync(path, bytes.fill(0xff, 100))
      return database('damaged.db')
    },
    says: [/damaged\.db is damaged/, /backup/],
    untouched: 'damaged.db',
  },
  'a folder in place of the file': {
    prepare(folder) {
      mkdirSync(join(folder, 'queue.db'))
      return database('queue.db')
    },
    says: [/cannot write .*queue\.db/, /another file in DATABASE_URL/],
  },
  'a file in place of the folder': {
    prepare(folder) {
      writeFileSync(join(folder, 'data'), '')
      return {}
    },
    says: [/cannot write .*data\/runqueue\.db/, /another file in DATABASE_URL/],
  },
  'mistakes in the environment, all at once': {
    prepare: () => ({
      environment: { PORT: 'http', LOG_LEVEL: 'loud', RUN_CLAIM_TIMEOUT: '-1', DURABILITY: 'some' },
    }),
    says: [
      /PORT .*'http'/,
      /LOG_LEVEL .*'loud'/,
      /RUN_CLAIM_TIMEOUT .*'-1'/,
      /DURABILITY .*'some'/,
    ],
    code: 2,
  },
  'a mistake in a flag': {
    prepare: () => ({ args: ['--port', '70000'] }),
    says: [/PORT must be .*65535, not '70000'/],
    code: 2,
  },
}

// Root may write everywhere.
if (!isRoot) {
  CASES['a folder that may not be written'] = {
    prepare(folder) {
      mkdirSync(join(folder, 'data'))
      chmodSync(join(folder, 'data'), 0o555)
      return {}
    },
    says: [/cannot write .*data\/runqueue\.db/, /Check that this user may write/],
  }
}

const afterAllClose: (() => void)[] = []

describe('it does not start', () => {
  const outcomes = new Map<string, Promise<Ended & { same: boolean }>>()

  async function attempt({ prepare, untouched }: Case): Promise<Ended & { same: boolean }> {
    const { path: folder, remove } = makeTempDir()
    afterAllClose.push(remove)
    const options = await prepare(folder)
    const bytes = () => (untouched ? readFileSync(join(folder, untouched)).toString('hex') : '')
    const before = bytes()
    const { child, ended } = spawnServe({ folder, ...options })
    afterAllClose.push(() => child.kill('SIGKILL'))
    return { ...(await ended), same: bytes() === before }
  }

  beforeAll(() => {
    // All at once: most of it is the start of Node.
    for (const [name, each] of Object.entries(CASES)) outcomes.set(name, attempt(each))
  })
  afterAll(() => {
    for (const close of afterAllClose) close()
  })

  test.each(Object.entries(CASES))('%s', async (name, { says, code = 1 }) => {
    const outcome = await outcomes.get(name)
    expect(outcome).toMatchObject({ code, signal: null, stdout: '', same: true })
    const stderr = outcome?.stderr ?? ''
    expect(stderr).toMatch(/^error: /)
    for (const words of says) expect(stderr).toMatch(words)
    // No stack trace, and nothing of the driver's own words alone.
    expect(stderr).not.toMatch(/\n\s+at |SqliteError|node_modules/)
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(6)
  })
})
