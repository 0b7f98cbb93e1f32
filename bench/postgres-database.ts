/** Databases of one's own on the one server of the section, which is removed with all of them. */
import pg from 'pg'
import type { Engine } from '../src/queue/engine.ts'
import { newRunId, newSessionId } from '../src/queue/ids.ts'
import { now } from './support.ts'

let made = 0

export async function withDatabase<T>(
  server: string,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  const name = `bench_${made++}`
  await admin.query(`CREATE DATABASE ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  await admin.end()
  return await use(url.href)
}

/** Runs that demand nothing, each with its session. */
export async function addPending(engine: Engine, count: number): Promise<void> {
  for (let added = 0; added < count; added += 1000) {
    const batch = Array.from({ length: Math.min(1000, count - added) }, () => ({
      ...{ run_id: newRunId(), session_id: newSessionId(), type: 'start_session' as const },
      parameters: { prompt: 'x' },
    }))
    await engine.runs.addMany(batch, now())
  }
}
