/**
 * Drizzle, as CommonJS: newer versions of Node read the package.json that an ES module stands in anew
 * for each one, and Drizzle is a hundred modules behind 130 kB of `exports`. Measured with
 * `npm run bench start` on Node 24: two thirds of the time until a server answered.
 */
import { createRequire } from 'node:module'

export const require = createRequire(import.meta.url)

const core: typeof import('drizzle-orm') = require('drizzle-orm')
export const { and, asc, count, desc, eq, fillPlaceholders, getTableColumns, gt, lte, sql } = core

const migrator: typeof import('drizzle-orm/migrator') = require('drizzle-orm/migrator')
export const { readMigrationFiles } = migrator

export type { Placeholder, SQL, SQLWrapper } from 'drizzle-orm'
