/** The server in this process, where starting one is the least of a test. */
import { join } from 'node:path'
import pino from 'pino'
import { onTestFinished } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import type { RunningServer } from '../../src/main.ts'
import { importBuilt } from '../support/built.ts'
import { tempDir } from '../support/temp-dir.ts'

const { startServer }: typeof import('../../src/main.ts') = await importBuilt('main')

export const urlOf = (folder: string) => `file:${join(folder, 'queue.db')}`

/** On a database of its own, unless the environment names one; closed at the end of the test. */
export async function startHere(environment: Record<string, string>): Promise<RunningServer> {
  const DATABASE_URL = environment['DATABASE_URL'] ?? urlOf(tempDir())
  const config = parseConfig({ PORT: '0', ...environment, DATABASE_URL })
  const server = await startServer(config, pino({ level: 'silent' }))
  onTestFinished(() => server.close())
  return server
}
