/** Databases of one's own on the one server of the section, which is removed with all of them. */
import pg from 'pg'

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

/** Runs that demand nothing, each with its session, in a database that an engine has opened before. */
export async function addPending(url: string, count: number): Promise<void> {
  const shell = new pg.Client({ connectionString: url, options: '-c runqueue.hint=off' })
  await shell.connect()
  await shell.query(`
    INSERT INTO runqueue.sessions (session_id, status, created_at, updated_at)
    SELECT 'ses_' || i, 'pending', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'
    FROM generate_series(1, ${count}) AS i`)
  await shell.query(`
    INSERT INTO runqueue.runs (run_id, session_id, type, parameters, created_at)
    SELECT 'run_' || i, 'ses_' || i, 'start_session', '{"prompt":"x"}', '2026-01-01T00:00:00.000Z'
    FROM generate_series(1, ${count}) AS i`)
  await shell.query('VACUUM ANALYZE')
  await shell.end()
}
