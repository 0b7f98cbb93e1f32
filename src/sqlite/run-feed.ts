/** The events of all runs: SQLite gives their ids in the order of commits, so an id is a place. */
import { sql } from '../drizzle.ts'
import type { Feed } from '../queue/feed.ts'
import { unknownEventId } from '../queue/refusals.ts'
import { EVENTS_LIMIT, type LiveRunEvent } from '../queue/run-event.ts'
import type { Orm } from './database.ts'
import { eventColumns } from './history.ts'
import { placeOf } from './place.ts'
import { runEvents, runs } from './schema.ts'
import { atMost, param } from './statements.ts'

export function createRunFeed(orm: Orm): Feed<LiveRunEvent> {
  const end = orm
    .select({ event_id: sql<number>`(SELECT coalesce(max(event_id), 0) FROM ${runEvents})` })
    .from(sql`(SELECT 1)`)
    .prepare()
  const read = orm
    .select({ ...eventColumns, session_id: runs.session_id })
    .from(runEvents)
    .innerJoin(runs, sql`${runs.seq} = ${runEvents.run_seq}`)
    .where(
      sql`${runEvents.event_id} > ${param('after')} AND ${runEvents.event_id} <= ${param('until')}`,
    )
    .orderBy(runEvents.event_id)
    .limit(atMost(EVENTS_LIMIT))
    .prepare()
  const last = () => end.get()?.event_id ?? 0

  return {
    end: async () => String(last()),

    async read(from, until) {
      const after = placeOf(from)
      // The newest event is never deleted.
      const to = until === undefined ? last() : placeOf(until)
      if (after > to) throw unknownEventId()
      const events = read.all({ after, until: to })
      const more = events.length === EVENTS_LIMIT
      return {
        items: events.map((item) => ({ place: String(item.event_id), item })),
        next: String((more && events.at(-1)?.event_id) || to),
        more,
      }
    },
  }
}
