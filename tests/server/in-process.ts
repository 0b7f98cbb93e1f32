/**
 * The server in this process, where starting one is the least of a test: what was built, since the
 * thread of its engine would else translate the sources each time (0.6 s of CPU instead of 0.1).
 */
import { join } from 'node:path'
import pino from 'pino'
import { onTestFinished } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import type { RunningServer } from '../../src/main.ts'
import { tempDir } from '../support/temp-dir.ts'

const { startServer }: typeof import('../../src/main.ts') = await import(
  new URL('../../dist/main.js', import.meta.url).href
)

export const urlOf = (folder: string) => `file:${join(folder, 'queue.db')}`

/** On a database of its own, unless the environment names one; closed at the end of the test. */
export async function startHere(environment: Record<string, string>): Promise<RunningServer> {
  const DATABASE_URL = environment['DATABASE_URL'] ?? urlOf(tempDir())
  const config = parseConfig({ PORT: '0', ...environment, DATABASE_URL })
  const server = await startServer(config, pino({ level: 'silent' }))
  onTestFinished(() => server.close())
  return server
}
