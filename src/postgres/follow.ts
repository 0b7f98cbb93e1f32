/** How a session follows its runs: parts of the statements that move them (see `moving`). */
import { sql } from '../drizzle.ts'
import type { Timestamp } from '../queue/run.ts'
import { ACTIVE_STATUSES } from '../queue/run.ts'
import type { Connection } from './database.ts'
import { param, preparedChange, statusAmong, textParam } from './statements.ts'

const now = textParam('now')

/** Sessions take the status of their run, of the latest where several moved. */
export const sessionStatus = sql`
  UPDATE sessions SET status = latest.status, updated_at = ${now}
  FROM (SELECT DISTINCT ON (session_id) session_id, status FROM moved
        ORDER BY session_id, seq DESC) AS latest
  WHERE sessions.session_id = latest.session_id`

const insertEvent = preparedChange(sql`
  INSERT INTO session_events (session_seq, run_id, event_type, timestamp, payload)
  SELECT seq,
    (SELECT run_id FROM runs
     WHERE runs.session_id = sessions.session_id AND ${statusAmong(ACTIVE_STATUSES)}
     ORDER BY created_at DESC, runs.seq DESC LIMIT 1),
    ${textParam('event_type')}, ${textParam('timestamp')}, ${param('payload')}::json
  FROM sessions WHERE session_id = ${param('session_id')}`)

/**
 * An event that an executor tells: it belongs to the run that is active in the session.
 * @returns whether there is such a session
 */
export async function addSessionEvent(
  on: Connection,
  event: { session_id: string; event_type: string; timestamp: Timestamp; payload: string | null },
): Promise<boolean> {
  return (await insertEvent.run(on, event)) > 0
}
