/** Puts the parts of the PostgreSQL engine together. */
import type { Durability, Engine } from '../queue/engine.ts'
import { ChangeSignal } from './change-signal.ts'
import { Database, targetOf } from './database.ts'
import { createInsight } from './insight.ts'
import { openClient } from './open.ts'
import { createOwnership } from './ownership.ts'
import { createRunFeed } from './run-feed.ts'
import { createRunQueue } from './run-queue.ts'
import { createRegistry, createRunners } from './runners.ts'
import { createSessionFeed } from './session-feed.ts'
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
  const target = targetOf(url, durability)
  const client = await openClient(url, target)
  const database = new Database(target)
  const changes = new ChangeSignal({ target, client, hint: () => database.hint() })
  database.watchedBy(changes)
  const registry = createRegistry(database)
  const ownership = createOwnership(database)
  return {
    runs: createRunQueue({ database, registry, ownership }),
    sessions: createSessions(database, ownership),
    runners: createRunners({ database, registry, ownership }),
    tokens: createTokens(database),
    storage: createStorage(database),
    runFeed: createRunFeed(database),
    sessionFeed: createSessionFeed(database),
    insight: createInsight(database),
    changes,
    async close() {
      await changes.close()
      await database.close()
    },
  }
}
