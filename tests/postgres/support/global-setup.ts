/** One server for all tests on PostgreSQL, and in it a migrated database that theirs are copies of. */
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { openPostgresEngine } from '../../../src/postgres/engine.ts'
import { createPostgresServer } from './server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

export const TEMPLATE = 'runqueue_template'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await createPostgresServer()
  try {
    await server.start()
    const admin = new pg.Client({ connectionString: server.url })
    await admin.connect()
    await admin.query(`CREATE DATABASE ${TEMPLATE}`)
    await admin.end()
    const engine = await openPostgresEngine({ url: databaseUrl(server.url, TEMPLATE) })
    await engine.close()
  } catch (error) {
    await server.remove()
    throw error
  }
  project.provide('postgresUrl', server.url)
  return () => server.remove()
}

export function databaseUrl(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}
