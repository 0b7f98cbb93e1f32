/** What SQLite's result codes mean to the caller of a queue. Codes: https://sqlite.org/rescode.html */
import { DatabaseOpenError, QueueError } from '../queue/errors.ts'
import { runExists } from '../queue/refusals.ts'

function sqliteCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  // Drizzle wraps driver errors; the code sits on the cause.
  const source = error.cause instanceof Error && 'code' in error.cause ? error.cause : error
  const code = (source as NodeJS.ErrnoException).code
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : null
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

export const isBusy = (error: unknown): boolean =>
  /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error) ?? '')

/** SHMSIZE: the index of the log could not grow by its next 32 KB. */
const isFull = (code: string): boolean => code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE'

/** A QueueError for what the world does to a database; other errors are returned as they are. */
export function translate(error: unknown): unknown {
  const code = sqliteCode(error)
  if (code === null) return error
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' && /: runs\.run_id$/.test(messageOf(error))) {
    return runExists(error)
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return new QueueError('database_busy', 'the database is locked by another process', {
      cause: error,
    })
  }
  if (isFull(code)) {
    return new QueueError(
      'database_full',
      'the disk that holds the database is full: nothing was stored; it goes on when there is space',
      { cause: error },
    )
  }
  const reason = messageOf(error)
  // JSON was checked when it was stored.
  const found = reason === 'malformed JSON' ? 'SQLITE_CORRUPT' : code
  for (const [codes, words] of UNAVAILABLE) {
    if (!codes.test(found)) continue
    return new QueueError('database_unavailable', `${words} (${reason})`, { cause: error })
  }
  return error
}

/** What a database that cannot be used suffers from. */
const UNAVAILABLE: [codes: RegExp, words: string][] = [
  [
    /^SQLITE_(CORRUPT|NOTADB)/,
    'the database file is damaged: what is asked for cannot be read; restore it from a backup',
  ],
  [/^SQLITE_READONLY/, 'the database file cannot be written'],
  [/^SQLITE_IOERR/, 'the disk that holds the database reports an error'],
  [/^SQLITE_(CANTOPEN|PERM|AUTH|PROTOCOL|NOLFS)/, 'the database file cannot be used'],
]

/** A part of the engine whose operations, reads too, reject with QueueErrors only. */
export function translating<Part extends object>(part: Part): Part {
  const translated = Object.entries(part).map(([name, operation]) => [
    name,
    async (...given: unknown[]) => {
      try {
        return await (operation as (...given: unknown[]) => Promise<unknown>)(...given)
      } catch (error) {
        throw translate(error)
      }
    },
  ])
  return Object.fromEntries(translated) as Part
}

/** What a file that cannot be opened means, and what a person can do about it. */
export function translateOpen(path: string, error: unknown): unknown {
  if (error instanceof DatabaseOpenError) return error
  const code = sqliteCode(error) ?? (error as NodeJS.ErrnoException).code ?? ''
  const reason = error instanceof Error ? error.message : String(error)
  if (code === 'SQLITE_NOTADB') {
    return new DatabaseOpenError(
      `${path} is not a SQLite database. Move it away, or name another file in DATABASE_URL.`,
      error,
    )
  }
  if (code.startsWith('SQLITE_CORRUPT')) {
    return new DatabaseOpenError(
      `${path} is damaged (${reason}). Restore it from a backup, or name another file in DATABASE_URL.`,
      error,
    )
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)|^E(ACCES|PERM|ROFS|NOTDIR|EXIST|ISDIR)/.test(code)) {
    return new DatabaseOpenError(
      `cannot write ${path} (${reason}). Check that this user may write the file and its folder, or name another file in DATABASE_URL.`,
      error,
    )
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new DatabaseOpenError(
      `${path} is locked by another program. Close what holds it, then start again.`,
      error,
    )
  }
  if (isFull(code) || code === 'ENOSPC') {
    return new DatabaseOpenError(
      `the disk that holds ${path} is full. Make space, then start again.`,
      error,
    )
  }
  if (code.startsWith('SQLITE_IOERR')) {
    return new DatabaseOpenError(
      `the disk that holds ${path} reports an error (${code}). Look after it, or name a file on another one in DATABASE_URL.`,
      error,
    )
  }
  return error
}
