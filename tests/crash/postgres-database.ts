/** What a PostgreSQL database itself says, read by plain SQL; it may be killed meanwhile. */
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import type { Contents, Reader, Row } from './database.ts'

const ATTEMPTS = 100
const ATTEMPT_AGAIN_MS = 100

const ROWS = `
  SELECT seq::int, run_id, session_id, parent_session_id, execution_mode, parameters ->> 'prompt' AS prompt, parameters ->> 'plan' AS plan,
    coalesce((parameters ->> 'delay_ms')::int, 0) AS delay_ms, retry_delay_seconds, priority, demands, status,
    runner_id, claim_token, idempotency_key, error, result ->> 'text' AS result_text, attempt,
    max_attempts, created_at, completed_at
  FROM runqueue.runs ORDER BY seq`
const MOVES = `
  SELECT event_id::int, run_seq::int, at, from_status, to_status, runner_id
  FROM runqueue.run_events ORDER BY event_id`
const UNTOLD = `
  SELECT child_session_id AS child, parent_session_id AS parent FROM runqueue.callbacks`
const COMPLETIONS = `
  SELECT run_id, count(*)::int AS count FROM runqueue.session_events
  WHERE event_type = 'run_completed' GROUP BY run_id`
const PENDING = `SELECT sum(value)::int AS pending FROM runqueue.counters WHERE name = 'pending'`
const STRAYS = `
  SELECT 'run ' || run_id || ' has no session' AS stray FROM runqueue.runs
  WHERE session_id NOT IN (SELECT session_id FROM runqueue.sessions)
  UNION ALL SELECT 'event ' || event_id || ' has no run' FROM runqueue.run_events
  WHERE run_seq NOT IN (SELECT seq FROM runqueue.runs)`
const ACTIVE = `
  SELECT run_id, parameters ->> 'plan' AS plan, status FROM runqueue.runs
  WHERE status IN ('pending', 'claimed', 'running', 'stopping') ORDER BY seq`

export async function openPostgresReader(url: string): Promise<Reader> {
  /** On a connection of its own, as often as it takes: reading changes nothing. */
  async function reading<T>(read: (client: pg.Client) => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
        return await read(client)
      } catch (error) {
        if (attempts === ATTEMPTS) throw error
        await setTimeout(ATTEMPT_AGAIN_MS)
      } finally {
        await client.end().catch(() => {})
      }
    }
  }
  return {
    read: (whole) =>
      reading(async (client): Promise<Contents> => {
        const all = async (sql: string) => (await client.query(sql)).rows
        return {
          rows: (await all(ROWS)) as Row[],
          moves: await all(MOVES),
          sessions: await all('SELECT session_id, status FROM runqueue.sessions'),
          untold: await all(UNTOLD),
          completions: new Map((await all(COMPLETIONS)).map((row) => [row.run_id, row.count])),
          pendingCounter: (await all(PENDING))[0]?.pending ?? null,
          damage: whole ? (await all(STRAYS)).map(({ stray }) => stray) : [],
        }
      }),
    active: () => reading(async (client) => (await client.query(ACTIVE)).rows),
    async close() {},
  }
}
