/** Opens the file: driver, pragmas, migrations. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Durability } from '../queue/engine.ts'
import { type Client, loadDriver } from './driver.ts'
import { type BetterSQLite3Database, drizzle } from './drizzle.ts'
import { isBusy, translateOpen } from './errors.ts'
import { BUSY_TIMEOUT_MS, databasePath, openWatcher } from './file.ts'
import { migrate, refuseForeign } from './migrate.ts'

export type Orm = BetterSQLite3Database

export interface Database {
  client: Client
  orm: Orm
  path: string
}

/** While opening and migrating nobody is served yet, so blocking is fine. */
const OPEN_TIMEOUT_MS = 10_000
/** The WAL file is cut back to this when it is reset. */
const JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024

/**
 * Opens and migrates the database file, making it and its folder where they do not exist.
 * @throws DatabaseOpenError
 */
export async function openDatabase(url: string, durability: Durability): Promise<Database> {
  const path = databasePath(url)
  const Driver = await loadDriver()
  let client: Client | undefined
  try {
    mkdirSync(dirname(path), { recursive: true })
    client = new Driver(path, { timeout: OPEN_TIMEOUT_MS })
    refuseForeign(client, path)
    // Small pages: a commit writes each page that it touches whole, and a lifecycle touches some 30.
    // Measured with `npm run bench lifecycle`: 2 048 bytes is half as fast again as 4 096.
    client.pragma('page_size = 2048')
    // Before the first table: pruned space can then be given back bit by bit.
    client.pragma('auto_vacuum = INCREMENTAL')
    await useWal(client)
    client.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    // The checkpointer does it, in a thread of its own.
    client.pragma('wal_autocheckpoint = 0')
    client.pragma(`journal_size_limit = ${JOURNAL_SIZE_LIMIT_BYTES}`)
    client.pragma('foreign_keys = ON')
    client.pragma('temp_store = MEMORY')
    migrate(client, path)
    client.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
    return { client, orm: drizzle({ client }), path }
  } catch (error) {
    client?.close()
    throw translateOpen(path, error)
  }
}

/**
 * Where another process is at it just now, SQLite says busy at once instead of waiting, since two
 * that both hold a read lock would wait for each other.
 */
async function useWal(client: Client): Promise<void> {
  const deadline = performance.now() + OPEN_TIMEOUT_MS
  for (;;) {
    try {
      client.pragma('journal_mode = WAL')
      return
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error
      await setTimeout(5)
    }
  }
}

/** One more connection to a database that is open, which can only read. */
export async function openReader(url: string): Promise<Pick<Database, 'client' | 'orm'>> {
  const client = await openWatcher(databasePath(url))
  return { client, orm: drizzle({ client }) }
}
