/** Puts the parts of the PostgreSQL engine together. */
import pg from 'pg'
import type { Durability, Engine } from '../queue/engine.ts'
import { ChangeSignal } from './change-signal.ts'
import { clientConfig, Database } from './database.ts'
import { translateOpen } from './errors.ts'
import { migrate } from './migrate.ts'
import { createOwnership } from './ownership.ts'
import { createRunQueue } from './run-queue.ts'
import { createRegistry, createRunners } from './runners.ts'
import { createSessions } from './sessions.ts'
import { createStorage } from './storage.ts'
import { createTokens } from './tokens.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database` */
  url: string
  durability?: Durability
}

/** Opens the queue in a PostgreSQL database. @throws DatabaseOpenError */
export async function openPostgresEngine(options: PostgresOptions): Promise<Engine> {
  const { url, durability = 'full' } = options
  const config = clientConfig(url, durability)
  const client = await openMigrated(url, config)
  const database = new Database(config)
  const changes = new ChangeSignal({ config, client, hint: () => database.hint() })
  database.watchedBy(changes)
  const registry = createRegistry(database)
  const ownership = createOwnership(database)
  return {
    runs: createRunQueue({ database, registry, ownership }),
    sessions: createSessions(database, ownership),
    runners: createRunners({ database, registry, ownership }),
    tokens: createTokens(database),
    storage: createStorage(database),
    changes,
    async close() {
      await changes.close()
      await database.close()
    },
  }
}

/** The first connection says whether there is such a database, and brings it up to date. */
async function openMigrated(url: string, config: pg.ClientConfig): Promise<pg.Client> {
  const place = placeOf(url)
  const client = new pg.Client(config)
  // Without a listener an error on a connection that nobody uses would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    await migrate(client, place)
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw translateOpen(place, error)
  }
}

/** Without what must not be shown. */
function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `postgres://${hostname}${port ? `:${port}` : ''}${pathname}`
}
