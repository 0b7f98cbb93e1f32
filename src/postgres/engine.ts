/** Puts the parts of the PostgreSQL engine together. */
import type { Durability, Engine } from '../queue/engine.ts'
import { gated, ReadGate } from '../queue/reads.ts'
import { MATCH_TIMEOUT_SECONDS } from '../queue/run-queue.ts'
import { createCallbacks } from './callbacks.ts'
import { ChangeSignal } from './change-signal.ts'
import { Database, targetOf } from './database.ts'
import { createInsight } from './insight.ts'
import { createMetrics } from './metrics.ts'
import { openClient } from './open.ts'
import { createOverview } from './overview.ts'
import { createRunFeed } from './run-feed.ts'
import { createRunQueue } from './run-queue.ts'
import { createRegistry, createRunners } from './runners.ts'
import { createSessionFeed } from './session-feed.ts'
import { createSessions } from './sessions.ts'
import { createStops } from './stop.ts'
import { createStorage } from './storage.ts'
import { createTokens } from './tokens.ts'

export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database` */
  url: string
  durability?: Durability
  /** What runs that the service adds itself wait for a match. */
  matchTimeoutSeconds?: number
}

/** So many of the connections are in the hands of those who look, at most. */
const READS_AT_ONCE = 3

/** Opens the queue in a PostgreSQL database. @throws DatabaseOpenError */
export async function openPostgresEngine(options: PostgresOptions): Promise<Engine> {
  const { url, durability = 'full', matchTimeoutSeconds = MATCH_TIMEOUT_SECONDS } = options
  const target = targetOf(url, durability)
  const client = await openClient(url, target)
  const database = new Database(target)
  const changes = new ChangeSignal({ target, client, hint: () => database.hint() })
  database.watchedBy(changes)
  const callbacks = createCallbacks(database, matchTimeoutSeconds)
  const stops = createStops(database, callbacks)
  const registry = createRegistry(database, callbacks)
  const engine: Engine = {
    runs: createRunQueue({ database, callbacks, stops, registry }),
    sessions: createSessions({ database, stops }),
    runners: createRunners({ database, callbacks, registry }),
    tokens: createTokens(database),
    storage: createStorage(database),
    runFeed: createRunFeed(database),
    sessionFeed: createSessionFeed(database),
    insight: createInsight(database),
    overview: createOverview(database),
    metrics: createMetrics(database),
    changes,
    async close() {
      await changes.close()
      await database.close()
    },
  }
  return gated(engine, new ReadGate(READS_AT_ONCE))
}
