/** What a session came to. Executors tell it in three ways, which are looked for in order. */
import { sql } from '../drizzle.ts'
import { resultNotFound, sessionNotFinished } from '../queue/refusals.ts'
import type { Session, SessionResult } from '../queue/session.ts'
import { messageText, sessionEvent } from '../queue/session-event.ts'
import type { Connection } from './database.ts'
import { runs, sessionEvents } from './schema.ts'
import { ofSession, orm, param, prepared, statusAmong, textParam } from './statements.ts'

const latestCompleted = prepared(
  orm
    .select({ run_id: runs.run_id, result: runs.result })
    .from(runs)
    .where(sql`session_id = ${param('session_id')} AND ${statusAmong(['completed'])}`)
    .orderBy(sql`created_at DESC, seq DESC`)
    .limit(1),
)

/** Events of the run, or of none (they came while no run was active). */
const latestEvent = prepared(
  orm
    .select()
    .from(sessionEvents)
    .where(
      sql`${ofSession} AND (run_id = ${param('run_id')} OR run_id IS NULL)
        AND event_type = ${param('event_type')}
        AND (${textParam('role')} IS NULL OR payload ->> 'role' = ${textParam('role')})`,
    )
    .orderBy(sql`id DESC`)
    .limit(1),
)

async function find(on: Connection, session_id: string): Promise<SessionResult | null> {
  const run = await latestCompleted.get(on, { session_id })
  if (run?.result) return { result_text: run.result.text, result_data: run.result.data }
  const run_id = run?.run_id ?? null
  const told = await latestEvent.get(on, { session_id, run_id, event_type: 'result', role: null })
  if (told) {
    const { result_text, result_data } = sessionEvent(session_id, told)
    return { result_text, result_data }
  }
  // Executors of the older generation send no result: their last message is it.
  const said = await latestEvent.get(on, {
    ...{ session_id, run_id, event_type: 'message', role: 'assistant' },
  })
  const text = said && messageText(sessionEvent(session_id, said).content)
  return text ? { result_text: text, result_data: null } : null
}

/** @throws QueueError session_not_finished, result_not_found */
export async function resultOf(on: Connection, session: Session): Promise<SessionResult> {
  if (session.status !== 'finished' && session.status !== 'idle') {
    throw sessionNotFinished()
  }
  const found = await find(on, session.session_id)
  if (!found) throw resultNotFound()
  return found
}
