/**
 * The server under load, a process of its own. Its database is temporary, and both end with the
 * harness, however that ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '../cli/log.ts'
import { parseConfig } from '../config.ts'
import { startServer } from '../main.ts'

const folder = mkdtempSync(join(tmpdir(), 'runqueue-load-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('disconnect', () => process.exit())
// Ctrl-C reaches all processes of a terminal; the harness still has questions then.
process.on('SIGINT', () => {})

try {
  const database = `file:${join(folder, 'load.db')}`
  const config = parseConfig({
    // Room for as many runners as a load may have, unless that is what it is to test.
    HTTP_MAX_CONNECTIONS: '20000',
    HTTP_MAX_WAITING: '20000',
    ...process.env,
    DATABASE_URL: database,
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
  })
  const { url } = await startServer(config, await createLog(config.logLevel))
  process.send?.({ url, database })
} catch (error) {
  process.stderr.write(`error: ${(error as Error).message}\n`)
  process.exit(1)
}
