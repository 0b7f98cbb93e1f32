/** A process that opens the databases it is told to, and says what it found in each. */
import { openDatabase } from '../../src/sqlite/database.ts'

export type Opened = { ready: true } | { tables: unknown } | { error: string }

const say = (answer: Opened) => process.send?.(answer)

async function open(path: string): Promise<Opened> {
  try {
    const { client } = await openDatabase(path, 'normal')
    const tables = client.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
    client.close()
    return { tables }
  } catch (error) {
    return { error: String(error) }
  }
}

process.on('message', async ({ path }: { path: string }) => say(await open(path)))
say({ ready: true })
