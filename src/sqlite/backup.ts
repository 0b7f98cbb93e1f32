/**
 * A copy of the database while servers write to it.
 *
 * `VACUUM INTO` is one read transaction: the copy is the database as it was at one commit, nobody
 * waits for it, and no commit of another process disturbs it. (SQLite's backup API begins anew
 * whenever another process commits, so under constant writes it may never end.) The copy has no
 * gaps and no log beside it. The log of the database grows while the copy is made.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { chmod, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { driverName } from './driver.ts'

/** Why there is no backup, in words. */
class BackupError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'BackupError'
  }
}

export interface BackupOptions {
  /** Path of a database. */
  source: string
  target: string
  /** Overwrite what is there. */
  force: boolean
  /** Aborted when it is to end early: nothing is left of it. */
  signal: AbortSignal
  onProgress: (progress: Progress) => void
}

export interface Progress {
  what: 'copying' | 'checking'
  /** Of the copy so far, and of all as far as can be known. */
  bytes: number
  total: number
}

export interface Backup {
  path: string
  bytes: number
  runs: number
  sessions: number
  runners: number
}

const PROGRESS_INTERVAL_MS = 250

/** Resolves when the copy is complete, checked and on the disk. @throws BackupError */
export async function backup(options: BackupOptions): Promise<Backup> {
  const source = resolve(options.source)
  const target = resolve(options.target)
  const partial = `${target}.partial`
  await refuseTargets(source, target, partial, options.force)
  await rm(partial, { force: true })
  try {
    const counts = await copy({ ...options, source, partial })
    // Only who may read the database may read its copy.
    await chmod(partial, (await stat(source)).mode)
    await sync(partial)
    await rename(partial, target)
    await sync(dirname(target))
    return { path: target, bytes: (await stat(target)).size, ...counts }
  } catch (error) {
    await rm(partial, { force: true })
    await rm(`${partial}-journal`, { force: true })
    throw inWords(error, target)
  }
}

async function refuseTargets(
  source: string,
  target: string,
  partial: string,
  force: boolean,
): Promise<void> {
  const of = (path: string) => stat(path).catch(() => null)
  const [from, to, unfinished] = await Promise.all([of(source), of(target), of(partial)])
  if (from && to && from.ino === to.ino && from.dev === to.dev) {
    throw new BackupError(`${target} is the database itself: name another file`)
  }
  if (to?.isDirectory()) throw new BackupError(`${target} is a folder: name a file in it`)
  if (force) return
  if (to) throw new BackupError(`${target} exists: name another file, or overwrite it with --force`)
  if (unfinished) {
    throw new BackupError(
      `${partial} exists: another backup is at work or was killed. With --force this one begins anew.`,
    )
  }
}

type Counts = Pick<Backup, 'runs' | 'sessions' | 'runners'>
type Message =
  | { what: 'begin'; bytes: number }
  | { what: 'check' }
  | { what: 'done'; counts: Counts }
  | { what: 'failed'; code?: string; message: string }

async function copy(options: BackupOptions & { partial: string }): Promise<Counts> {
  const { source, partial, signal, onProgress } = options
  if (signal.aborted) throw new BackupError('interrupted')
  const module = fileURLToPath(new URL('./backup-process.mjs', import.meta.url))
  const child = fork(module, [import.meta.resolve(driverName), source, partial], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const progress: Progress = { what: 'copying', bytes: 0, total: 0 }
  const timer = setInterval(async () => {
    progress.bytes = await stat(partial).then(
      ({ size }) => size,
      () => 0,
    )
    if (progress.total > 0) onProgress({ ...progress })
  }, PROGRESS_INTERVAL_MS)
  const stop = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop)
  try {
    return await outcome(child, (message) => {
      if (message.what === 'begin') progress.total = message.bytes
      if (message.what === 'check') progress.what = 'checking'
    })
  } finally {
    clearInterval(timer)
    signal.removeEventListener('abort', stop)
  }
}

function outcome(child: ChildProcess, onMessage: (message: Message) => void): Promise<Counts> {
  return new Promise((resolve, reject) => {
    let end: Message | undefined
    child.on('message', (message: Message) => {
      onMessage(message)
      if (message.what === 'done' || message.what === 'failed') end = message
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (end?.what === 'done') resolve(end.counts)
      else if (end?.what === 'failed') {
        reject(Object.assign(new Error(end.message), { code: end.code }))
      } else reject(new BackupError(`the copying process ended (${signal ?? `code ${code}`})`))
    })
  })
}

/** Until then a power cut may take what was written: VACUUM INTO does not wait for the disk. */
async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

function inWords(error: unknown, target: string): unknown {
  if (error instanceof BackupError) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  if (/^SQLITE_(FULL|IOERR_WRITE)|^ENOSPC/.test(code)) {
    return new BackupError(`the disk that would hold ${target} is full`, error)
  }
  if (/^SQLITE_CANTOPEN|^E(ACCES|NOENT|PERM|ROFS|NOTDIR)/.test(code)) {
    return new BackupError(`cannot write ${target} (${message})`, error)
  }
  if (message.includes('no such table: __drizzle_migrations')) {
    return new BackupError('the file to copy is not the database of a queue', error)
  }
  return new BackupError(`no backup was made: ${message}`, error)
}
