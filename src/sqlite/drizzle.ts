/** What of Drizzle is for SQLite; see `../drizzle.ts`. */
import { require } from '../drizzle.ts'

const core: typeof import('drizzle-orm/sqlite-core') = require('drizzle-orm/sqlite-core')
export const { check, index, integer, real, sqliteTable, text, uniqueIndex } = core

const driver: typeof import('drizzle-orm/better-sqlite3') = require('drizzle-orm/better-sqlite3')
export const { drizzle } = driver

export type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
export type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
