/** What a session came to. Executors tell it in three ways, which are looked for in order. */
import { sql } from '../drizzle.ts'
import { resultNotFound, sessionNotFinished } from '../queue/refusals.ts'
import type { Session, SessionResult } from '../queue/session.ts'
import { messageText, sessionEvent } from '../queue/session-event.ts'
import type { Orm } from './database.ts'
import { runs, sessionEvents } from './schema.ts'
import { atMost, ofSession, param } from './statements.ts'

export function prepareSessionResult(orm: Orm) {
  const latestCompleted = orm
    .select({ run_id: runs.run_id, result: runs.result })
    .from(runs)
    .where(sql`session_id = ${param('session_id')} AND status = 'completed'`)
    .orderBy(sql`created_at DESC, seq DESC`)
    .limit(atMost(1))
    .prepare()

  /** Events of the run, or of none (they came while no run was active). */
  const latestEvent = orm
    .select()
    .from(sessionEvents)
    .where(
      sql`${ofSession} AND (run_id = ${param('run_id')} OR run_id IS NULL)
        AND event_type = ${param('event_type')}
        AND (${param('role')} IS NULL OR payload ->> '$.role' = ${param('role')})`,
    )
    .orderBy(sql`id DESC`)
    .limit(atMost(1))
    .prepare()

  function find(session_id: string): SessionResult | null {
    const run = latestCompleted.get({ session_id })
    if (run?.result) return { result_text: run.result.text, result_data: run.result.data }
    const run_id = run?.run_id ?? null
    const told = latestEvent.get({ session_id, run_id, event_type: 'result', role: null })
    if (told) {
      const { result_text, result_data } = sessionEvent(session_id, told)
      return { result_text, result_data }
    }
    // Executors of the older generation send no result: their last message is it.
    const said = latestEvent.get({ session_id, run_id, event_type: 'message', role: 'assistant' })
    const text = said && messageText(sessionEvent(session_id, said).content)
    return text ? { result_text: text, result_data: null } : null
  }

  return function result(session: Session): SessionResult {
    if (session.status !== 'finished' && session.status !== 'idle') {
      throw sessionNotFinished()
    }
    const found = find(session.session_id)
    if (!found) throw resultNotFound()
    return found
  }
}
