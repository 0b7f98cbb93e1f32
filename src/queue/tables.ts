/** The rows themselves, for copying a queue from one database to another. */
import type { JsonValue } from './run.ts'

/**
 * In this order, so that what a row refers to is there before it. What is told to who waits just now
 * (runner_signals, session_changes) is news, not state, and counters are counted anew.
 */
export const COPIED_TABLES = [
  'sessions',
  'runs',
  'run_events',
  'session_events',
  'runners',
  'tokens',
  'callbacks',
] as const
export type CopiedTable = (typeof COPIED_TABLES)[number]

export type Row = Record<string, JsonValue>
export type Key = number | string

/** A database as its tables. Whoever uses it so is alone with it: servers are stopped. */
export interface Tables {
  /** In order of the key, those after `after`. */
  read(table: CopiedTable, after: Key | null, limit: number): Promise<Row[]>
  /** The key of a row that was read. */
  keyOf(table: CopiedTable, row: Row): Key
  /** All of these or none, with the keys that they have. */
  write(table: CopiedTable, rows: Row[]): Promise<void>
  /** The row with the greatest key. */
  last(table: CopiedTable): Promise<Row | null>
  /** How many there are up to this key; null: in all. */
  count(table: CopiedTable, upTo: Key | null): Promise<number>
  /** After the last row: new rows get keys beyond those that were written. */
  finish(): Promise<void>
  close(): Promise<void>
}
