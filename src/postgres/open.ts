/** The first connection: it says whether there is such a database, and brings it up to date. */
import pg from 'pg'
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
