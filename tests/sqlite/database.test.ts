import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { DatabaseOpenError } from '../../src/queue/errors.ts'
import { openDatabase } from '../../src/sqlite/database.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { forkModule } from '../support/fork.ts'
import { tempDir } from '../support/temp-dir.ts'

async function open(url: string) {
  const database = await openDatabase(url, 'normal')
  onTestFinished(() => void database.client.close())
  return database
}

/** What opening is refused with. */
async function refusal(path: string): Promise<string> {
  const error = await open(path).then(
    () => expect.fail('it opened'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(DatabaseOpenError)
  return (error as Error).message
}

async function makeDatabase(path: string, ...statements: string[]): Promise<void> {
  const Driver = await loadDriver()
  const client = new Driver(path)
  for (const statement of statements) client.exec(statement)
  client.close()
}

describe('opening a database', () => {
  it('makes the file and its folder', async () => {
    const path = join(tempDir(), 'new', 'folder', 'queue.db')
    await open(`file:${path}`)
    expect(existsSync(path)).toBe(true)
  })

  it.each([
    ['a plain path', (path: string) => path],
    ['file:', (path: string) => `file:${path}`],
    ['sqlite:', (path: string) => `sqlite:${path}`],
    ['file://', (path: string) => pathToFileURL(path).href],
  ])('takes %s, also with spaces and letters of all kinds', async (_, urlOf) => {
    const path = join(tempDir(), 'qü eue %20 #1?.db')
    expect((await open(urlOf(path))).path).toBe(path)
    expect(existsSync(path)).toBe(true)
  })

  it.each([
    ['full', 2],
    ['normal', 1],
  ] as const)('sets what durability %s needs', async (durability, synchronous) => {
    const { client } = await openDatabase(join(tempDir(), 'queue.db'), durability)
    onTestFinished(() => void client.close())
    const setting = (name: string) => client.pragma(name, { simple: true })
    expect(setting('journal_mode')).toBe('wal')
    expect(setting('synchronous')).toBe(synchronous)
    expect(setting('foreign_keys')).toBe(1)
    expect(setting('journal_size_limit')).toBeGreaterThan(0)
    // A wait inside SQLite would stop the whole process.
    expect(setting('busy_timeout')).toBeLessThanOrEqual(10)
  })

  it('finds what was there before', async () => {
    const path = join(tempDir(), 'queue.db')
    const { client } = await openDatabase(path, 'normal')
    client.exec(
      "INSERT INTO sessions (session_id, status, created_at, updated_at) VALUES ('s', 'idle', '', '')",
    )
    client.close()
    const again = await open(path)
    expect(again.client.prepare('SELECT session_id FROM sessions').pluck().all()).toEqual(['s'])
  })
})

describe('a file that is not ours', () => {
  it('that is no database is refused, and left as it is', async () => {
    const path = join(tempDir(), 'notes.txt')
    const text = 'Dear diary, '.repeat(500)
    writeFileSync(path, text)
    expect(await refusal(path)).toContain(`${path} is not a SQLite database`)
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('that is the database of another program is refused, and left as it is', async () => {
    const path = join(tempDir(), 'other.db')
    await makeDatabase(path, 'CREATE TABLE photos (name TEXT)', "INSERT INTO photos VALUES ('x')")
    const before = readFileSync(path)
    expect(await refusal(path)).toContain(`${path} is the SQLite database of another program`)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(existsSync(`${path}-wal`)).toBe(false)
  })

  it('that a newer version wrote is refused', async () => {
    const path = join(tempDir(), 'queue.db')
    const { client } = await openDatabase(path, 'normal')
    client.exec("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9e15)")
    client.close()
    expect(await refusal(path)).toContain(`${path} was written by a newer version of runqueue`)
  })

  it('that is damaged is refused', async () => {
    const path = join(tempDir(), 'queue.db')
    const { client } = await openDatabase(path, 'normal')
    client.close()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0x55, 100, 4096))
    expect(await refusal(path)).toContain(`${path} is damaged`)
  })
})

describe('a place that cannot be written', () => {
  it('below a regular file is refused', async () => {
    const file = join(tempDir(), 'file')
    writeFileSync(file, '')
    const path = join(file, 'queue.db')
    expect(await refusal(path)).toContain(`cannot write ${path}`)
  })

  it('that is a folder is refused', async () => {
    const path = join(tempDir(), 'queue.db')
    mkdirSync(path)
    expect(await refusal(path)).toContain(`cannot write ${path}`)
  })

  it('is told with what a person can do', async () => {
    const path = join(tempDir(), 'queue.db')
    mkdirSync(path)
    expect(await refusal(path)).toMatch(/Check that .*DATABASE_URL/)
  })
})

describe('several processes', () => {
  it('may open a new file at once: one of them migrates it', async () => {
    const folder = tempDir()
    const opener = () =>
      forkModule<{ path: string }, unknown>(new URL('./opener.mjs', import.meta.url), [])
    const processes = [opener(), opener(), opener()]
    for (const process of processes) expect(await process.next()).toEqual({ ready: true })
    for (let round = 0; round < 15; round++) {
      const path = join(folder, `${round}.db`)
      for (const process of processes) process.send({ path })
      const opened = await Promise.all(processes.map((process) => process.next()))
      // Each sees the finished schema, whoever made it.
      const tables = (await open(path)).client
        .prepare('SELECT count(*) FROM sqlite_schema')
        .pluck()
        .get()
      expect(opened).toEqual(processes.map(() => ({ tables })))
    }
  })
})
