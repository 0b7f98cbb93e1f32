/** What happened to runs, as the triggers wrote it down. */
import { asc, sql } from '../drizzle.ts'
import { runNotFound } from '../queue/refusals.ts'
import {
  eventCursor,
  eventPage,
  type RunEventFilter,
  type RunEventPage,
} from '../queue/run-event.ts'
import type { Orm } from './database.ts'
import { runEvents, runs } from './schema.ts'
import { atMost, param } from './statements.ts'

export const eventColumns = {
  event_id: runEvents.event_id,
  run_id: runs.run_id,
  at: runEvents.at,
  from_status: runEvents.from_status,
  to_status: runEvents.to_status,
  cause: runEvents.cause,
  changed_by: runEvents.changed_by,
  runner_id: runEvents.runner_id,
  attempt: runEvents.attempt,
  detail: runEvents.detail,
}

export function prepareHistory(orm: Orm) {
  const find = orm
    .select({ seq: runs.seq })
    .from(runs)
    .where(sql`run_id = ${param('run_id')}`)
    .prepare()
  const ofRun = orm
    .select(eventColumns)
    .from(runEvents)
    .innerJoin(runs, sql`${runs.seq} = ${runEvents.run_seq}`)
    .where(
      sql`${runEvents.run_seq} = ${param('run_seq')} AND ${runEvents.event_id} > ${param('after')}`,
    )
    .orderBy(asc(runEvents.event_id))
    .limit(atMost('limit'))
    .prepare()

  return {
    ofRun(run_id: string, { limit, cursor }: RunEventFilter): RunEventPage {
      const after = eventCursor(cursor)
      const run = find.get({ run_id })
      if (!run) throw runNotFound()
      return eventPage(ofRun.all({ run_seq: run.seq, after, limit: limit + 1 }), limit)
    },
  }
}
