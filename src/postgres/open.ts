/** The first connection: it says whether there is such a database, and brings it up to date. */
import pg from 'pg'
import { DatabaseOpenError } from '../queue/errors.ts'
import { connect, type Target } from './database.ts'
import { translateOpen } from './errors.ts'
import { migrate } from './migrate.ts'

/** @throws DatabaseOpenError */
export async function openClient(url: string, target: Target): Promise<pg.Client> {
  const place = placeOf(url)
  const client = new pg.Client(target.config)
  // Without a listener an error on a connection that nobody uses would end the process.
  client.on('error', () => {})
  try {
    await connect(client, target)
    await refuseSharedConnections(client, target, place)
    await migrate(client, place)
    return client
  } catch (error) {
    await client.end().catch(() => {})
    throw translateOpen(place, error)
  }
}

/** Any is enough to tell; a pooler that is busy may happen to give each the same as before. */
const LOOKS = 5

/**
 * A pooler such as PgBouncer that hands connections from one transaction to the next takes away what
 * is set on them: the schema, how to plan, who listens. It shows in the process at the other end, which
 * is not the one that was announced, and which two clients share or which changes under one of them.
 */
async function refuseSharedConnections(
  client: pg.Client,
  { config }: Target,
  place: string,
): Promise<void> {
  const processOf = async (on: pg.Client): Promise<number> =>
    (await on.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
  const { processID: announced } = client as pg.Client & { processID: number }
  const first = await processOf(client)
  if (first === announced) return
  const other = new pg.Client(config)
  other.on('error', () => {})
  try {
    await other.connect()
    for (let looks = 0; looks < LOOKS; looks++) {
      if ((await processOf(client)) === first && (await processOf(other)) !== first) continue
      throw new DatabaseOpenError(
        `${place} is behind a pooler that shares connections between transactions, which runqueue cannot use: it listens on its connections and sets what holds for them. Use a pool with pool_mode = session, or connect to PostgreSQL directly.`,
      )
    }
  } finally {
    await other.end().catch(() => {})
  }
}

/** Without what must not be shown. */
function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `postgres://${hostname}${port ? `:${port}` : ''}${pathname}`
}
