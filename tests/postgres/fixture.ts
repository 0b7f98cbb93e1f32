import pg from 'pg'
import { inject } from 'vitest'
import { openPostgresEngine } from '../../src/postgres/engine.ts'
import type { Engine } from '../../src/queue/engine.ts'
import type { EngineFixture } from '../conformance/fixture.ts'
import { lend } from '../support/lend.ts'
import { databaseUrl, TEMPLATE } from './support/global-setup.ts'

/** Power cuts are no subject of these tests; everything else is as durable as it is fast. */
export const openEngine = (url: string): Promise<Engine> =>
  openPostgresEngine({ url, durability: 'normal' })

/** A database that is there for one test after the other: to make one takes 65 ms, to empty it 1 ms. */
interface TestDatabase {
  url: string
  shell: pg.Client
  /** Engines that tests have closed: the next goes on with their connections and statements. */
  idle: Engine[]
}

const TABLES = [
  ...['sessions', 'runners', 'run_events', 'runner_signals', 'tokens'],
  ...['session_changes', 'counters'],
]
const free: TestDatabase[] = []
let made = 0

async function makeDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl')
  const name = `test_${process.pid}_${made++}`
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`)
  await admin.end()
  const url = databaseUrl(server, name)
  return { url, shell: await openShell(url), idle: [] }
}

/** As a person or another program would connect. */
export async function openShell(url: string): Promise<pg.Client> {
  const shell = new pg.Client({ connectionString: url, options: '-c search_path=runqueue' })
  // The tests that stop the server end it too.
  shell.on('error', () => {})
  await shell.connect()
  return shell
}

export const openFixture = async (): Promise<EngineFixture> =>
  fixtureOf(free.pop() ?? (await makeDatabase()))

/** One in which no test has left dead rows, for those that count what is read. */
export const openNewFixture = async (): Promise<EngineFixture> => fixtureOf(await makeDatabase())

function fixtureOf(database: TestDatabase): EngineFixture {
  const { url, shell, idle } = database
  return {
    open: async () => lend(idle.pop() ?? (await openEngine(url)), idle),
    opener: { url },
    async cleanup() {
      await shell.query(TABLES.map((table) => `DELETE FROM ${table}`).join('; '))
      free.push(database)
    },
  }
}
