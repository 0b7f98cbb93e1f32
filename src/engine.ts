/** The one place that knows which engines there are: the scheme of DATABASE_URL says which. */
import type { Durability, Engine } from './queue/engine.ts'
import { DatabaseOpenError } from './queue/errors.ts'
import type { Tables } from './queue/tables.ts'

/** Schemes, and how each is opened: loaded when needed, so that nobody waits for the other's driver. */
const OPENERS = new Map([
  ['file', openSqlite],
  ['sqlite', openSqlite],
  ['postgres', openPostgres],
  ['postgresql', openPostgres],
])
export const DATABASE_SCHEMES = [...OPENERS.keys()]

export interface EngineOptions {
  url: string
  durability?: Durability
  /** What runs that the service adds itself wait for a match. */
  matchTimeoutSeconds?: number
  /** In a thread of its own, where the engine would block this one. */
  thread?: boolean
  /** A slip in its name must not make a new database. */
  existing?: boolean
}

/** Opens the queue in the database at this URL; a plain path is a SQLite file. @throws DatabaseOpenError */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const open = OPENERS.get(schemeOf(options.url)) ?? openSqlite
  return await open(options)
}

const schemeOf = (url: string): string => url.split(':', 1)[0]?.toLowerCase() ?? ''

/** The URL as it may be shown: without a password. */
export function shownUrl(url: string): string {
  if (!URL.canParse(url) || new URL(url).password === '') return url
  const shown = new URL(url)
  shown.password = '…'
  return decodeURI(shown.href)
}

/** What only a file can do. @throws DatabaseOpenError, with `advice`, where it is none. */
export async function existingFile(url: string, advice: string): Promise<string> {
  if (OPENERS.get(schemeOf(url)) === openPostgres) throw new DatabaseOpenError(advice)
  return (await import('./sqlite/file.ts')).existingDatabase(url)
}

async function openSqlite(options: EngineOptions): Promise<Engine> {
  const { thread = false, existing = false, ...given } = options
  if (existing) (await import('./sqlite/file.ts')).existingDatabase(given.url)
  if (thread) return await (await import('./sqlite/thread.ts')).openSqliteThread(given)
  return await (await import('./sqlite/engine.ts')).openSqliteEngine(given)
}

async function openPostgres(options: EngineOptions): Promise<Engine> {
  const { thread: _, existing: __, ...given } = options
  return await (await import('./postgres/engine.ts')).openPostgresEngine(given)
}

/** The rows of the queue in this database, for copying. @throws DatabaseOpenError */
export async function openTables(url: string, existing: boolean): Promise<Tables> {
  if (OPENERS.get(schemeOf(url)) === openPostgres) {
    return await (await import('./postgres/tables.ts')).openPostgresTables(url)
  }
  return await (await import('./sqlite/tables.ts')).openSqliteTables(url, existing)
}
