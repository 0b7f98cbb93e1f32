/**
 * A process that opens the databases it is told to, and says what it found in each. JavaScript, on
 * what was built, so that it starts at once.
 */
import { openDatabase } from '../../dist/sqlite/database.js'

async function open(path) {
  try {
    const { client } = await openDatabase(path, 'normal')
    const tables = client.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
    client.close()
    return { tables }
  } catch (error) {
    return { error: String(error) }
  }
}

process.on('message', async ({ path }) => process.send?.(await open(path)))
process.send?.({ ready: true })
