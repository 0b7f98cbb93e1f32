/** The database file: where it is, and connections that read what others write to it. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DatabaseOpenError } from '../queue/errors.ts'
import { type Client, loadDriver } from './driver.ts'

/** SQLite's own busy wait blocks the whole process, so it is tiny; the commit lane waits instead. */
export const BUSY_TIMEOUT_MS = 1

/** `file:./data/runqueue.db`, `sqlite:…` or a plain path. */
export function databasePath(url: string): string {
  if (url.startsWith('file://')) return fileURLToPath(url)
  return resolve(url.replace(/^(file|sqlite):/, ''))
}

/**
 * The path of a database that is to be there: a slip in its name must not make a new one.
 * @throws DatabaseOpenError
 */
export function existingDatabase(url: string): string {
  const path = databasePath(url)
  if (existsSync(path)) return path
  throw new DatabaseOpenError(
    `there is no database at ${path}. Name it with --database or DATABASE_URL.`,
  )
}

/** One more connection to a database that is open, for reads that must not wait for anything. */
export async function openWatcher(path: string): Promise<Client> {
  const Driver = await loadDriver()
  return new Driver(path, { readonly: true, timeout: BUSY_TIMEOUT_MS })
}
