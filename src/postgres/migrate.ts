/**
 * Applies the migrations in `drizzle/postgres`, forward only. Drizzle's own migrator does not keep
 * two servers that start at once from applying the same one; here a lock comes first. The bookkeeping
 * table is Drizzle's, in the queue's own schema.
 */
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { readMigrationFiles } from '../drizzle.ts'
import { DatabaseOpenError } from '../queue/errors.ts'

const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../drizzle/postgres', import.meta.url))
/** Any number that nothing else locks. */
const MIGRATION_LOCK = 7_311_000
/** What the migrations use: snapshots of 64-bit transaction ids, functions with SQL bodies. */
const OLDEST_VERSION = 140_000
/** An index of a large table takes its time: the driver's own deadline is not for it. */
const patient = (text: string): pg.QueryConfig & { query_timeout: number } => ({
  text,
  query_timeout: 3_600_000,
})
const NO_SUCH_TABLE = ['42P01', '3F000']

export async function migrate(client: pg.Client, place: string): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })
  const newest = migrations.at(-1)?.folderMillis ?? 0
  if ((await lastApplied(client)) === newest) return
  await refuseUnfit(client, place)
  await client.query('BEGIN; SET LOCAL statement_timeout = 0')
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`)
    await client.query('CREATE SCHEMA IF NOT EXISTS runqueue')
    await client.query(
      'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash TEXT NOT NULL, created_at BIGINT NOT NULL)',
    )
    const applied = await lastApplied(client)
    if (applied > newest) {
      throw new DatabaseOpenError(
        `${place} was written by a newer version of runqueue than this one. Update runqueue, or name another database in DATABASE_URL.`,
      )
    }
    for (const { sql, hash, folderMillis } of migrations) {
      if (folderMillis <= applied) continue
      for (const text of sql) await client.query(patient(text))
      await client.query('INSERT INTO __drizzle_migrations (hash, created_at) VALUES ($1, $2)', [
        hash,
        folderMillis,
      ])
    }
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

/** When the last applied migration was made, in ms; 0 in a new database. */
async function lastApplied(client: pg.Client): Promise<number> {
  try {
    const { rows } = await client.query('SELECT max(created_at) AS last FROM __drizzle_migrations')
    return rows[0]?.last ?? 0
  } catch (error) {
    if (NO_SUCH_TABLE.includes((error as pg.DatabaseError).code ?? '')) return 0
    throw error
  }
}

async function refuseUnfit(client: pg.Client, place: string): Promise<void> {
  const { rows } = await client.query(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name, current_setting('server_encoding') AS encoding",
  )
  const { number, name, encoding } = rows[0]
  if (number < OLDEST_VERSION) {
    throw new DatabaseOpenError(`${place} is on PostgreSQL ${name}: version 14 or newer is needed.`)
  }
  if (encoding !== 'UTF8') {
    throw new DatabaseOpenError(
      `${place} has the encoding ${encoding}, which does not hold every text. Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.`,
    )
  }
}
