/** What happened to runs, as the triggers wrote it down. */
import { sql } from '../drizzle.ts'
import { runNotFound } from '../queue/refusals.ts'
import {
  eventCursor,
  eventPage,
  type RunEvent,
  type RunEventFilter,
  type RunEventPage,
} from '../queue/run-event.ts'
import type { Database } from './database.ts'
import { param, Statement } from './statements.ts'

const FIELDS = ['event_id', 'at', 'from_status', 'to_status', 'cause', 'changed_by']
export const eventFields = sql.raw(
  [...FIELDS, 'runner_id', 'attempt', 'detail'].map((field) => `event.${field}`).join(', '),
)

const find = new Statement<{ seq: number }>(
  sql`SELECT seq FROM runs WHERE run_id = ${param('run_id')}`,
)
const ofRun = new Statement<RunEvent>(sql`
  SELECT ${eventFields}, runs.run_id
  FROM run_events AS event JOIN runs ON runs.seq = event.run_seq
  WHERE event.run_seq = ${param('run_seq')} AND event.event_id > ${param('after')}
  ORDER BY event.event_id LIMIT ${param('limit')}`)

export const createHistory = (database: Database) => ({
  /** Whoever changes a run has it locked until the commit, so that its events come in their order. */
  events: (run_id: string, { limit, cursor }: RunEventFilter): Promise<RunEventPage> =>
    database.run(async (on) => {
      const after = eventCursor(cursor)
      const run = await find.get(on, { run_id })
      if (!run) throw runNotFound()
      const values = { run_seq: run.seq, after, limit: limit + 1 }
      return eventPage(await ofRun.all(on, values), limit)
    }),
})
