import { join } from 'node:path'
import type { Engine } from '../../src/queue/engine.ts'
import { type Client, loadDriver } from '../../src/sqlite/driver.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import type { EngineFixture } from '../conformance/fixture.ts'
import { lend } from '../support/lend.ts'
import { makeTempDir } from '../support/temp-dir.ts'

/** Power cuts are no subject of these tests; everything else is as durable as it is fast. */
export const openEngine = (url: string): Promise<Engine> =>
  openSqliteEngine({ url, durability: 'normal' })

/** A file that is there for one test after the other: to empty it takes 1 ms, to open another 30. */
interface TestDatabase {
  url: string
  shell: Client
  /** Engines that tests have closed: the next goes on with their statements. */
  idle: Engine[]
}

const TABLES = ['sessions', 'runners', 'run_events', 'runner_signals', 'tokens', 'session_changes']
/** As in a new file: what is counted on demand is not there, what the metrics count is at 0. */
const RESET_COUNTERS = `DELETE FROM counters WHERE name IN ('pending', 'session_changes');
  UPDATE counters SET value = 0`
const free: TestDatabase[] = []

async function makeDatabase(): Promise<TestDatabase> {
  // It lasts as long as all tests do.
  const path = join(makeTempDir().path, 'queue.db')
  const url = `file:${path}`
  const engine = await openEngine(url)
  const Driver = await loadDriver()
  const shell = new Driver(path)
  shell.pragma('foreign_keys = ON')
  return { url, shell, idle: [engine] }
}

/** One whose engines close as they do elsewhere, and that no test has used before. */
export async function openNewFixture(): Promise<EngineFixture> {
  const folder = makeTempDir()
  const url = `file:${join(folder.path, 'queue.db')}`
  return {
    open: () => openEngine(url),
    opener: { url },
    cleanup: async () => folder.remove(),
  }
}

export async function openFixture(): Promise<EngineFixture> {
  const database = free.pop() ?? (await makeDatabase())
  const { url, shell, idle } = database
  return {
    open: async () => lend(idle.pop() ?? (await openEngine(url)), idle),
    opener: { url },
    async cleanup() {
      shell.exec(`${TABLES.map((table) => `DELETE FROM ${table};`).join('')} ${RESET_COUNTERS}`)
      free.push(database)
    },
  }
}
