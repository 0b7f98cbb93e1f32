/** What a SQLite database itself says, read by the driver alone: none of the product's code comes between. */

import type { Demands } from '../../src/queue/demands.ts'
import type { ExecutionMode, RunStatus } from '../../src/queue/run.ts'
import type { SessionStatus } from '../../src/queue/session.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'

export interface Row {
  seq: number
  run_id: string
  session_id: string
  parent_session_id: string | null
  execution_mode: ExecutionMode
  prompt: string
  /** Null in what parents are told, which asks for nothing. */
  plan: string | null
  delay_ms: number
  retry_delay_seconds: number | null
  priority: number
  demands: Demands | null
  status: RunStatus
  runner_id: string | null
  claim_token: string | null
  idempotency_key: string | null
  error: string | null
  result_text: string | null
  attempt: number
  max_attempts: number
  created_at: string
  completed_at: string | null
}

/** A change of a run, in the order of the commits. */
interface Move {
  event_id: number
  run_seq: number
  at: string
  from_status: RunStatus | null
  to_status: RunStatus
  runner_id: string | null
}

interface SessionRow {
  session_id: string
  status: SessionStatus
}

export interface Contents {
  rows: Row[]
  moves: Move[]
  sessions: SessionRow[]
  /** The sessions of children whose ends are still to be told to their parents. */
  untold: { child: string; parent: string }[]
  /** How often each run's completion was told to its session. */
  completions: Map<string, number>
  /** Null where nobody has asked for it: then it is not kept. */
  pendingCounter: number | null
  /** What the database itself finds wrong. */
  damage: string[]
}

export interface Reader {
  /** @param whole whether the file is checked, too, which takes its time */
  read(whole: boolean): Promise<Contents>
  /** Runs that have not ended. */
  active(): Promise<Pick<Row, 'run_id' | 'plan' | 'status'>[]>
  close(): Promise<void>
}

export async function openReader(path: string): Promise<Reader> {
  const Driver = await loadDriver()
  const client = new Driver(path, { readonly: true, timeout: 10_000 })
  const all = <T>(sql: string) => client.prepare<[], T>(sql).all()
  const read = client.transaction((whole: boolean): Contents => {
    const rows = all<Omit<Row, 'demands'> & { demands: string | null }>(
      `SELECT seq, run_id, session_id, parent_session_id, execution_mode, prompt, parameters ->> '$.plan' AS plan,
         coalesce(parameters ->> '$.delay_ms', 0) AS delay_ms, retry_delay_seconds, priority, demands, status, runner_id, claim_token, idempotency_key, error, result ->> '$.text' AS result_text,
         attempt, max_attempts, created_at, completed_at FROM runs ORDER BY seq`,
    )
    return {
      rows: rows.map((row) => ({
        ...row,
        demands: row.demands === null ? null : (JSON.parse(row.demands) as Demands),
      })),
      moves: all('SELECT * FROM run_events ORDER BY event_id'),
      sessions: all('SELECT session_id, status FROM sessions'),
      untold: all('SELECT child_session_id AS child, parent_session_id AS parent FROM callbacks'),
      completions: new Map(
        all<{ run_id: string; count: number }>(
          `SELECT run_id, count(*) AS count FROM session_events
           WHERE event_type = 'run_completed' GROUP BY run_id`,
        ).map(({ run_id, count }) => [run_id, count]),
      ),
      pendingCounter:
        all<{ value: number }>(`SELECT value FROM counters WHERE name = 'pending'`)[0]?.value ??
        null,
      damage: whole
        ? [
            ...all<{ integrity_check: string }>('PRAGMA integrity_check')
              .map((line) => line.integrity_check)
              .filter((line) => line !== 'ok'),
            ...all('PRAGMA foreign_key_check').map((line) => JSON.stringify(line)),
          ]
        : [],
    }
  })
  return {
    read: async (whole) => read(whole),
    active: async () =>
      all(
        `SELECT run_id, parameters ->> '$.plan' AS plan, status FROM runs
         WHERE status IN ('pending', 'claimed', 'running', 'stopping')`,
      ),
    async close() {
      client.close()
    },
  }
}
