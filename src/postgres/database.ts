/** The connections: a pool for operations, one client for what is watched. */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import type { Durability } from '../queue/engine.ts'
import { emptyHistogram, LATENCY_BOUNDS, observe } from '../queue/histogram.ts'
import { isDisconnected, isRepeatable, isSilence, translate } from './errors.ts'

/** What one server process has at most; PostgreSQL itself allows 100 unless told otherwise. */
const POOL_SIZE = 10
/** How long a request may wait for a connection: for a new one, or a free one. */
const CONNECT_TIMEOUT_MS = 10_000
/** No statement here is meant to take long; one that does is stuck behind a lock or a dead network. */
const STATEMENT_TIMEOUT_MS = 10_000
/** For the case that the answer never comes: the server is gone without a word. */
const ANSWER_TIMEOUT_MS = 12_000
const IDLE_CONNECTION_MS = 60_000
/** Operations that PostgreSQL undid for the sake of others are done again so often. */
const ATTEMPTS = 8
const ATTEMPT_DELAY_MS = 5

/**
 * Statements here are each written for an index. A plan is made once for a connection, perhaps while
 * the tables are empty and a scan of all looks cheap: so it is told not to think of one.
 */
const SETTINGS = {
  search_path: 'runqueue',
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
  statement_timeout: String(STATEMENT_TIMEOUT_MS),
  idle_in_transaction_session_timeout: String(STATEMENT_TIMEOUT_MS),
  'runqueue.hint': 'off',
}

export const CHANNEL = 'runqueue'

/** Where statements run: on any connection of the pool, or on the one that has a transaction. */
export class Connection {
  readonly #client: Pick<pg.ClientBase, 'query'>
  /** Something was written, so there may be news for those who wait. */
  wrote = false

  constructor(client: Pick<pg.ClientBase, 'query'>) {
    this.#client = client
  }

  async query(config: pg.QueryConfig): Promise<pg.QueryResult> {
    const result = await this.#client.query(config)
    if (result.command !== 'SELECT' && (result.rowCount ?? 0) > 0) this.wrote = true
    return result
  }
}

interface Watcher {
  /** Before an operation: resolves when whoever subscribed before is watched for. */
  ready(): Promise<void>
  /** After an operation that wrote. */
  nudge(): void
}

export class Database {
  /** How long operations that wrote took, until they were on the disk. */
  readonly commits = emptyHistogram(LATENCY_BOUNDS)
  readonly #target: Target
  #pool: pg.Pool
  #watcher: Watcher = { ready: async () => {}, nudge() {} }

  constructor(target: Target) {
    this.#target = target
    this.#pool = this.#makePool()
  }

  #makePool(): pg.Pool {
    const { config, settings } = this.#target
    const pool = new pg.Pool({
      ...config,
      onConnect: async (client) => {
        // One that breaks between two statements of a transaction has nobody else who listens: the
        // next statement tells.
        client.on('error', () => {})
        await client.query(settings)
      },
      max: POOL_SIZE,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
    })
    // Connections that break while nobody uses them leave the pool; who needs one gets another.
    pool.on('error', () => {})
    return pool
  }

  /** Where one connection keeps silent the others may do so too: none of them is asked again. */
  #renew(silent: pg.Pool): void {
    if (silent !== this.#pool) return
    this.#pool = this.#makePool()
    silent.end().catch(() => {})
  }

  watchedBy(watcher: Watcher): void {
    this.#watcher = watcher
  }

  /** An operation of one statement that decides, or of several that need not be one. */
  run<T>(operation: (on: Connection) => Promise<T>): Promise<T> {
    return this.#repeat(async () => {
      const connection = new Connection(this.#pool as unknown as pg.ClientBase)
      const began = performance.now()
      const value = await operation(connection)
      if (connection.wrote) this.#wrote(began)
      return value
    })
  }

  /** An operation of several statements, all or none. */
  transaction<T>(operation: (on: Connection) => Promise<T>): Promise<T> {
    return this.#repeat(async () => {
      const client = await this.#pool.connect()
      const began = performance.now()
      const connection = new Connection(client)
      let broken: unknown
      try {
        await client.query('BEGIN')
        const value = await operation(connection)
        await client.query('COMMIT')
        if (connection.wrote) this.#wrote(began)
        return value
      } catch (error) {
        broken = isDisconnected(error) ? error : await rollback(client)
        throw error
      } finally {
        client.release(broken !== undefined)
      }
    })
  }

  #wrote(began: number): void {
    observe(this.commits, (performance.now() - began) / 1000)
    this.#watcher.nudge()
  }

  /** Tells other processes that there is something to read. It writes nothing, so it waits for no disk. */
  async hint(): Promise<void> {
    await this.#pool.query(`NOTIFY ${CHANNEL}`)
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  /**
   * What PostgreSQL undid is done again. What was cut off by a lost connection is not: a commit whose
   * answer was lost may have happened. Its caller hears `database_unavailable` and repeats it, which
   * idempotency keys, claim keys and the reports' own rules make safe.
   */
  async #repeat<T>(attempt: () => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      await this.#watcher.ready()
      const pool = this.#pool
      try {
        return await attempt()
      } catch (error) {
        if (isSilence(error)) this.#renew(pool)
        if (!isRepeatable(error) || attempts === ATTEMPTS) throw translate(error)
      }
      await setTimeout(Math.random() * ATTEMPT_DELAY_MS * 2 ** attempts)
    }
  }
}

/** @returns why the connection is of no more use; undefined where it is as new */
async function rollback(client: pg.ClientBase): Promise<unknown> {
  try {
    await client.query('ROLLBACK')
    return undefined
  } catch (error) {
    return error
  }
}

/** How this URL is connected to, and what is set on each connection before anything else runs. */
export interface Target {
  config: pg.ClientConfig
  settings: string
}

export function targetOf(url: string, durability: Durability): Target {
  const settings = { ...SETTINGS, synchronous_commit: durability === 'full' ? 'on' : 'off' }
  const set = Object.entries(settings).map(
    ([name, value]) => `set_config('${name}', '${value}', false)`,
  )
  return {
    config: {
      connectionString: url,
      application_name: 'runqueue',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      types: { getTypeParser },
    },
    // A statement, not a startup parameter: poolers such as PgBouncer refuse those.
    settings: `SELECT ${set.join(', ')}`,
  }
}

export async function connect(client: pg.Client, { settings }: Target): Promise<void> {
  await client.connect()
  await client.query(settings)
}

/** Numbers of 64 bits come as text otherwise; none here is too large for a number. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: string) =>
  oid === pg.types.builtins.INT8 && format !== 'binary'
    ? Number
    : pg.types.getTypeParser(oid, format as 'text')
