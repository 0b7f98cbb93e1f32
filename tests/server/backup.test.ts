/** Copies of a database that is in use, and what a server finds in them. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { RunPage } from '../../src/queue/run-queue.ts'
import { backup } from '../../src/sqlite/backup.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { cli } from '../cli/harness.ts'
import { type Api, apiOf } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { aNewRun } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startServe } from './process.ts'
import { canMount, leftOut, smallDisk } from './small-disk.ts'

const RUN = { type: 'start_session', prompt: 'hello '.repeat(200) }
const NOW = '2026-01-31T12:00:00.000Z'

async function allRuns({ get }: Api): Promise<Set<string>> {
  const run_ids = new Set<string>()
  let cursor = ''
  do {
    const { body } = await get<RunPage>(`/runs?limit=1000${cursor}`)
    for (const { run_id } of body.runs) run_ids.add(run_id)
    cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
  } while (cursor)
  return run_ids
}

/** Adds runs without a pause until it is stopped. */
function load({ post }: Api) {
  const acknowledged: string[] = []
  let over = false
  const caller = async () => {
    while (!over) {
      const { status, body } = await post<Added>('/runs', RUN)
      expect(status).toBe(201)
      acknowledged.push(body.run_id)
    }
  }
  const callers = Promise.all([caller(), caller(), caller(), caller()])
  return {
    acknowledged,
    async stop() {
      over = true
      await callers
    },
  }
}

test('made under load and put in place, it holds every run acknowledged before it began', async () => {
  const folder = tempDir()
  const database = join(folder, 'data', 'runqueue.db')
  const server = await startServe({ folder })
  const { acknowledged, stop } = load(apiOf(server.url))
  await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(500)
  const copy = join(folder, 'copy.db')
  const before = [...acknowledged]
  const made = await cli(['backup', copy, '--database', database, '--json'])
  const during = acknowledged.length - before.length
  await stop()
  expect(made.code, made.stderr).toBe(0)
  expect(JSON.parse(made.stdout)).toMatchObject({ path: copy, bytes: statSync(copy).size })
  expect(JSON.parse(made.stdout).runs).toBeGreaterThanOrEqual(before.length)
  // Nobody waited for it.
  expect(during).toBeGreaterThan(0)
  expect(readdirSync(folder).sort()).toEqual(['copy.db', 'data'])

  const asAtTheBackup = async (api: Api) => {
    const found = await allRuns(api)
    expect(before.filter((run_id) => !found.has(run_id))).toEqual([])
    expect(found.size).toBe(JSON.parse(made.stdout).runs)
    expect((await api.post('/runs', RUN)).status).toBe(201)
  }
  // In the place of the database, as the README says; killed, the server left a log there.
  server.kill('SIGKILL')
  await server.ended
  copyFileSync(copy, database)
  rmSync(`${database}-wal`)
  rmSync(`${database}-shm`)
  await asAtTheBackup(apiOf((await startServe({ folder })).url))
  // And in a place of its own.
  const elsewhere = await startServe({ folder: tempDir(), args: ['--database', copy] })
  await asAtTheBackup(apiOf(elsewhere.url))
})

async function aDatabase(folder: string): Promise<string> {
  const path = join(folder, 'queue.db')
  const engine = await openSqliteEngine({ url: path })
  for (let i = 0; i < 100; i++) await engine.runs.add(aNewRun(), NOW)
  await engine.close()
  return path
}

/** Whoever counts the runners in a copy of it never comes to an end. */
async function makeEndless(path: string): Promise<void> {
  const client = new (await loadDriver())(path)
  client.exec(`DROP TABLE runners;
    CREATE VIEW runners AS
    WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i) SELECT n FROM i`)
  client.close()
}

describe('a backup', () => {
  test('says in words what it made', async () => {
    const folder = tempDir()
    const database = await aDatabase(folder)
    const made = await cli(['backup', join(folder, 'copy.db'), '--database', database])
    expect(made.code).toBe(0)
    expect(made.stdout).toMatch(
      /copy\.db: [\d.]+ kB, checked; 100 runs, 100 sessions, 0 runners\n$/,
    )
  })

  test('overwrites nothing, unless told to', async () => {
    const folder = tempDir()
    const database = await aDatabase(folder)
    const copy = join(folder, 'copy.db')
    writeFileSync(copy, 'precious')
    const args = ['backup', copy, '--database', database]
    const refused = await cli(args)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') })
    expect(readFileSync(copy, 'utf8')).toBe('precious')
    expect((await cli([...args, '--force'])).code).toBe(0)
    expect(statSync(copy).size).toBeGreaterThan(10_000)
  })

  test('leaves an unfinished one alone, unless told to', async () => {
    const folder = tempDir()
    const database = await aDatabase(folder)
    const copy = join(folder, 'copy.db')
    writeFileSync(`${copy}.partial`, 'half')
    const args = ['backup', copy, '--database', database]
    expect(await cli(args)).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') })
    expect((await cli([...args, '--force'])).code).toBe(0)
    expect(readdirSync(folder).sort()).toEqual(['copy.db', 'queue.db'])
  })

  test('of the database over itself is refused, whatever is said', async () => {
    const folder = tempDir()
    const database = await aDatabase(folder)
    const before = readFileSync(database)
    const { code, stderr } = await cli(['backup', database, '--force', '--database', database])
    expect(code).toBe(1)
    expect(stderr).toContain('is the database itself')
    expect(readFileSync(database).equals(before)).toBe(true)
  })

  test.each<[string, (folder: string) => Promise<{ database: string; copy?: string }>, RegExp]>([
    [
      'a database that is not there',
      async (folder) => ({ database: join(folder, 'other.db') }),
      /there is no database at .*other\.db/,
    ],
    [
      'a place that is not there',
      async (folder) => ({
        database: await aDatabase(folder),
        copy: join(folder, 'nowhere', 'copy.db'),
      }),
      /cannot write .*nowhere/,
    ],
    [
      'a folder as the file',
      async (folder) => {
        mkdirSync(join(folder, 'copy.db'))
        return { database: await aDatabase(folder) }
      },
      /is a folder/,
    ],
    [
      'a file that is no queue',
      async (folder) => {
        writeFileSync(join(folder, 'other.db'), '')
        return { database: join(folder, 'other.db') }
      },
      /not the database of a queue/,
    ],
    [
      'a damaged database',
      async (folder) => {
        const database = await aDatabase(folder)
        const bytes = readFileSync(database)
        writeFileSync(database, bytes.fill(0xff, bytes.length / 2))
        return { database }
      },
      /no backup was made: .*malformed/,
    ],
  ])('with %s fails in words and leaves nothing', async (_, make, says) => {
    const folder = tempDir()
    const { database, copy = join(folder, 'copy.db') } = await make(folder)
    const before = readdirSync(folder)
    const { code, stderr } = await cli(['backup', copy, '--database', database])
    expect(code).toBe(1)
    expect(stderr).toMatch(says)
    expect(readdirSync(folder)).toEqual(before)
  })

  test.runIf(canMount)(`to a disk that is full leaves nothing${leftOut}`, async () => {
    const database = await aDatabase(tempDir())
    const { folder, take } = smallDisk(1)
    take()
    const { code, stderr } = await cli(['backup', join(folder, 'copy.db'), '--database', database])
    expect(code).toBe(1)
    expect(stderr).toMatch(/error: the disk that would hold .*copy\.db is full\n$/)
    expect(readdirSync(folder)).toEqual(['ballast'])
  })

  test.each(['before it begins', 'in the midst of it'])(
    'that is interrupted %s leaves nothing',
    async (when) => {
      const folder = tempDir()
      const source = await aDatabase(folder)
      await makeEndless(source)
      const copies = () => readdirSync(folder).filter((name) => name.startsWith('copy.db'))
      const interrupt = new AbortController()
      const made = backup({
        ...{ source, target: join(folder, 'copy.db'), force: false, onProgress() {} },
        signal: interrupt.signal,
      })
      if (when === 'in the midst of it') await expect.poll(copies).not.toEqual([])
      interrupt.abort()
      await expect(made).rejects.toMatchObject({ name: 'BackupError' })
      // The process that copied is killed, so the database may keep the log that it had open.
      expect(copies()).toEqual([])
    },
  )
})
