/**
 * Applies the migrations in `drizzle/sqlite`, forward only.
 *
 * Drizzle's own migrator reads the last migration before it takes the write lock, so two servers
 * that start at once would both apply the same one; here the lock comes first. The bookkeeping
 * table is Drizzle's.
 */
import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from '../drizzle.ts'
import { DatabaseOpenError } from '../queue/errors.ts'
import type { Client } from './driver.ts'

const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../drizzle/sqlite', import.meta.url))

export function migrate(client: Client, path: string): void {
  const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })
  const newest = migrations.at(-1)?.folderMillis ?? 0
  const apply = client.transaction(() => {
    const applied = lastApplied(client)
    if (applied > newest) {
      throw new DatabaseOpenError(
        `${path} was written by a newer version of runqueue than this one. Update runqueue, or name another file in DATABASE_URL.`,
      )
    }
    const record = client.prepare(
      'INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)',
    )
    for (const { sql, hash, folderMillis } of migrations) {
      if (folderMillis <= applied) continue
      for (const statement of sql) client.exec(statement)
      record.run(hash, folderMillis)
    }
  })
  // A migration may write sqlite_schema, where a column gets a default: nothing else may.
  client.unsafeMode(true)
  try {
    apply.immediate()
  } finally {
    client.unsafeMode(false)
  }
}

/** When the last applied migration was made, in ms; 0 in a new file. */
function lastApplied(client: Client): number {
  client.exec(
    'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, created_at NUMERIC)',
  )
  return Number(
    client.prepare('SELECT coalesce(max(created_at), 0) FROM __drizzle_migrations').pluck().get(),
  )
}

/**
 * Only reads, so that the database of another program is left as it is.
 * @throws DatabaseOpenError
 */
export function refuseForeign(client: Client, path: string): void {
  const tables = client
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all()
  if (tables.length === 0 || tables.includes('__drizzle_migrations')) return
  throw new DatabaseOpenError(
    `${path} is the SQLite database of another program. Name another file in DATABASE_URL.`,
  )
}
