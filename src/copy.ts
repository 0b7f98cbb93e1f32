/** Copies a queue from one database to another, whichever engine each is on. */
import { isDeepStrictEqual } from 'node:util'
import { DatabaseOpenError } from './queue/errors.ts'
import { COPIED_TABLES, type CopiedTable, type Key, type Row, type Tables } from './queue/tables.ts'

/** One transaction on the other side. */
const BATCH = 500

export type Copied = Record<CopiedTable, number>

export interface CopyOptions {
  signal: AbortSignal
  onProgress?: (table: CopiedTable, done: number, total: number) => void
}

/**
 * Goes on where an earlier copy between the two ended, if one did. At the end both sides are counted.
 * @throws DatabaseOpenError where `to` holds something else, or the two differ at the end
 */
export async function copyQueue(from: Tables, to: Tables, options: CopyOptions): Promise<Copied> {
  const starts = new Map<CopiedTable, Key | null>()
  // All are looked at before anything is written.
  for (const table of COPIED_TABLES) starts.set(table, await startOf(from, to, table))
  for (const table of COPIED_TABLES) {
    await copyTable(from, to, table, starts.get(table) ?? null, options)
  }
  if (!options.signal.aborted) await to.finish()
  return await counted(from, to, options.signal)
}

/** From where on a table is to be copied: what is there already must be the beginning of it. */
async function startOf(from: Tables, to: Tables, table: CopiedTable): Promise<Key | null> {
  const last = await to.last(table)
  if (last === null) return null
  const key = to.keyOf(table, last)
  const there = await to.count(table, null)
  const here = await from.count(table, key)
  const [same] = await rowsEndingAt(from, table, key, here)
  if (there === here && same && isDeepStrictEqual(same, last)) return key
  throw new DatabaseOpenError(
    `the database to copy to holds ${there} rows in ${table} that are not the beginning of those to copy. Name an empty one.`,
  )
}

/** The row with this key, if there is one. */
async function rowsEndingAt(
  from: Tables,
  table: CopiedTable,
  key: Key,
  count: number,
): Promise<Row[]> {
  if (count === 0) return []
  const before = typeof key === 'number' ? key - 1 : key.slice(0, -1)
  const rows = await from.read(table, before, BATCH)
  return rows.filter((row) => from.keyOf(table, row) === key)
}

async function copyTable(
  from: Tables,
  to: Tables,
  table: CopiedTable,
  start: Key | null,
  { signal, onProgress }: CopyOptions,
): Promise<void> {
  const total = await from.count(table, null)
  let done = start === null ? 0 : await to.count(table, null)
  let after = start
  for (;;) {
    onProgress?.(table, done, total)
    if (signal.aborted) return
    const rows = await from.read(table, after, BATCH)
    const last = rows.at(-1)
    if (!last) return
    await to.write(table, rows)
    done += rows.length
    after = from.keyOf(table, last)
  }
}

async function counted(from: Tables, to: Tables, signal: AbortSignal): Promise<Copied> {
  const copied = {} as Copied
  for (const table of COPIED_TABLES) {
    copied[table] = await to.count(table, null)
    const wanted = await from.count(table, null)
    if (signal.aborted || copied[table] === wanted) continue
    throw new DatabaseOpenError(
      `${table}: ${wanted} rows on one side and ${copied[table]} on the other. Was a server at work? Stop all, and copy to an empty database.`,
    )
  }
  return copied
}
