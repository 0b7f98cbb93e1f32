/** What changes in sessions: written by triggers from when somebody first asks. */
import { sql } from 'drizzle-orm'
import type { Feed } from '../queue/feed.ts'
import {
  CHANGES_BYTES,
  CHANGES_LIMIT,
  type SessionChange,
  sessionChange,
} from '../queue/session-change.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import { placeOf, unknownPlace } from './place.ts'
import { counters, sessionChanges, sessionEvents } from './schema.ts'
import { param } from './statements.ts'

export function createSessionFeed(orm: Orm, lane: CommitLane): Feed<SessionChange> {
  const state = orm
    .select({
      last: sql<number>`(SELECT coalesce(max(change_id), 0) FROM ${sessionChanges})`,
      kept: sql<number>`EXISTS (SELECT 1 FROM ${counters} WHERE name = 'session_changes')`,
    })
    .from(sql`(SELECT 1)`)
    .prepare()
  const keep = orm
    .insert(counters)
    .values({ name: 'session_changes', value: 1 })
    .onConflictDoNothing()
    .prepare()

  // The sizes come from the rows' headers; the large values are read only where they are given out.
  const sized = sql`(
    SELECT changes.*, coalesce(octet_length(event.payload), 0) AS size,
      sum(coalesce(octet_length(event.payload), 0)) OVER (ORDER BY change_id) AS total
    FROM (
      SELECT * FROM session_changes
      WHERE change_id > ${param('after')} AND change_id <= ${param('until')}
      ORDER BY change_id LIMIT ${sql.raw(String(CHANGES_LIMIT))}) AS changes
    LEFT JOIN session_events AS event ON event.id = changes.event_id) AS sized`
  const read = orm
    .select({
      sequence: sql<number>`sized.change_id`,
      at: sql<string>`sized.at`,
      kind: sql<SessionChange['kind']>`sized.kind`,
      session_id: sql<string>`sized.session_id`,
      data: sql`sized.data`.mapWith(sessionChanges.data),
      event: {
        id: sessionEvents.id,
        event_type: sessionEvents.event_type,
        timestamp: sessionEvents.timestamp,
        payload: sessionEvents.payload,
      },
    })
    .from(sized)
    .leftJoin(sessionEvents, sql`${sessionEvents.id} = sized.event_id`)
    .where(sql`sized.total - sized.size < ${sql.raw(String(CHANGES_BYTES))}`)
    .orderBy(sql`sized.change_id`)
    .prepare()
  const now = () => state.get() ?? { last: 0, kept: 0 }

  return {
    async end() {
      if (!now().kept) await lane.write(() => void keep.run())
      return String(now().last)
    },

    async read(from, until) {
      const after = placeOf(from)
      const to = until === undefined ? now().last : placeOf(until)
      if (after > to) throw unknownPlace()
      const rows = read.all({ after, until: to })
      const next = rows.at(-1)?.sequence ?? to
      return {
        items: rows.flatMap((row) => {
          const item = sessionChange(row)
          return item ? [{ place: String(item.sequence), item }] : []
        }),
        next: String(next),
        more: next < to,
      }
    },
  }
}
