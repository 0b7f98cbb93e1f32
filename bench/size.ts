/** The file is as large as what is kept, not as what ever was: a million runs, added, ended, pruned. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { addSeconds } from '../src/queue/time.ts'
import { type Client, loadDriver } from '../src/sqlite/driver.ts'
import { openSqliteEngine } from '../src/sqlite/engine.ts'
import { pruneAll } from '../src/upkeep/retention.ts'
import { type Figure, now, say, withFolder } from './support.ts'

const ROUNDS = 10
const RUNS_PER_ROUND = 100_000

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`

/** Of the database and its log. */
function sizes(path: string): { file: number; log: number } {
  return { file: statSync(path).size, log: statSync(`${path}-wal`).size }
}

/**
 * Plain SQL: what is measured is the room, not how the runs came there. Ids are random as in
 * earnest, and each change leaves its event.
 */
function fill(client: Client, round: number): void {
  const numbers = `WITH RECURSIVE n(i) AS (
    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${RUNS_PER_ROUND})`
  const at = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
  const agent = `'round ${round}'`
  client.exec(`BEGIN IMMEDIATE;
    INSERT INTO sessions (session_id, status, created_at, updated_at, agent_name)
    ${numbers} SELECT 'ses_' || hex(randomblob(6)), 'finished', ${at}, ${at}, ${agent} FROM n;
    INSERT INTO runs (run_id, session_id, type, parameters, created_at, updated_at)
    SELECT 'run_' || hex(randomblob(6)), session_id, 'start_session',
      '{"prompt":"summarise the report and send it to the team"}', ${at}, ${at}
    FROM sessions WHERE agent_name = ${agent};
    INSERT INTO session_events (session_seq, event_type, timestamp, payload)
    SELECT seq, 'run_start', ${at}, '{"type":"start"}' FROM sessions WHERE agent_name = ${agent};
    UPDATE runs SET status = 'claimed', runner_id = 'runner', claimed_at = ${at} WHERE status = 'pending';
    UPDATE runs SET status = 'running', started_at = ${at} WHERE status = 'claimed';
    INSERT INTO session_events (session_seq, event_type, timestamp, payload)
    SELECT seq, 'run_completed', ${at}, '{"exit_code":0}' FROM sessions WHERE agent_name = ${agent};
    UPDATE runs SET status = 'completed', completed_at = ${at} WHERE status = 'running';
    COMMIT`)
  client.pragma('wal_checkpoint(TRUNCATE)')
}

export async function sizeFigures(): Promise<Figure[]> {
  return await withFolder(async (folder) => {
    const path = join(folder, 'queue.db')
    const engine = await openSqliteEngine({ url: `file:${path}`, durability: 'normal' })
    const Driver = await loadDriver()
    const client = new Driver(path)
    const filled: number[] = []
    let log = 0
    let pruned = 0
    for (let round = 1; round <= ROUNDS; round++) {
      fill(client, round)
      const full = sizes(path)
      const { signal } = new AbortController()
      await pruneAll(engine, { before: addSeconds(now(), 1), signal })
      // The last checkpoint is made by a thread, after the last step.
      await delay(2000)
      const after = sizes(path)
      filled.push(full.file)
      log = Math.max(log, after.log)
      pruned = Math.max(pruned, after.file)
      say(
        `  round ${round}: ${mb(full.file)} with ${RUNS_PER_ROUND} finished runs, ${mb(after.file)} when they were pruned (log ${mb(after.log)})`,
      )
    }
    client.close()
    await engine.close()
    const first = filled[0] ?? Number.NaN
    const largest = Math.max(...filled)
    const total = (ROUNDS * RUNS_PER_ROUND).toLocaleString('en')
    return [
      {
        what: `file, largest of ${ROUNDS} rounds that came to ${total} pruned runs / after the first`,
        value: largest / first,
        unit: '×',
        bar: 1.25,
        aim: 1.1,
        better: 'less',
        detail: `${mb(largest)} / ${mb(first)} (closed: ${mb(statSync(path).size)})`,
      },
      {
        what: 'file, pruned / filled',
        value: pruned / largest,
        unit: '×',
        bar: 0.3,
        aim: 0.15,
        better: 'less',
        detail: `${mb(pruned)} / ${mb(largest)}`,
      },
      {
        what: 'log, after a round was pruned',
        value: log / 1e6,
        unit: 'MB',
        bar: 200,
        aim: 70,
        better: 'less',
        detail: 'journal_size_limit is 67 MB',
      },
    ]
  })
}
