/** What of Drizzle is for PostgreSQL; see `../drizzle.ts`. */
import { require } from '../drizzle.ts'

const core: typeof import('drizzle-orm/pg-core') = require('drizzle-orm/pg-core')
export const { bigint, boolean, check, customType, doublePrecision, index, integer } = core
export const { json, jsonb, PgDialect, pgTable, primaryKey, uniqueIndex } = core

const driver: typeof import('drizzle-orm/node-postgres') = require('drizzle-orm/node-postgres')
export const { drizzle } = driver

export type { PgColumn, PgTable, PgUpdateSetSource } from 'drizzle-orm/pg-core'
