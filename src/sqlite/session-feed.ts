/** What changes in sessions: written by triggers as long as somebody follows it. */
import { sql } from '../drizzle.ts'
import { unknownEventId } from '../queue/refusals.ts'
import {
  CHANGES_BYTES,
  CHANGES_LIMIT,
  RENEW_SECONDS,
  RESUMED,
  type SessionFeed,
  type StoredChange,
  sessionChange,
} from '../queue/session-change.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import { placeOf } from './place.ts'
import { counters, sessionChanges, sessionEvents } from './schema.ts'
import { param } from './statements.ts'

const isKept = sql`name = 'session_changes'`

export function createSessionFeed(orm: Orm, lane: CommitLane): SessionFeed {
  const last = orm
    .select({ change_id: sql<number>`coalesce(max(change_id), 0)` })
    .from(sessionChanges)
    .prepare()
  // In the row of `counters` for which the triggers look stands when somebody last followed, in ms.
  const followed = orm.select({ at: counters.value }).from(counters).where(isKept).prepare()
  const begin = orm
    .insert(counters)
    .values({ name: 'session_changes', value: param('at') })
    .onConflictDoNothing()
    .prepare()
  const mark = orm
    .insert(sessionChanges)
    .values({ at: param('now'), kind: RESUMED, session_id: '' })
    .prepare()
  const renew = orm
    .update(counters)
    .set({ value: sql`max(value, ${param('at')})` })
    .where(isKept)
    .prepare()
  const rest = orm
    .delete(counters)
    .where(sql`${isKept} AND value <= ${param('since')}`)
    .prepare()
  const findGap = orm
    .select({
      gap: sql<number>`(SELECT min(change_id) FROM ${sessionChanges}) > ${param('after')} + 1
        OR EXISTS (
          SELECT 1 FROM ${sessionChanges}
          WHERE change_id > ${param('after')} AND kind = ${sql.raw(`'${RESUMED}'`)})`,
    })
    .from(sql`(SELECT 1)`)
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
      kind: sql<StoredChange['kind']>`sized.kind`,
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
  const end = () => last.get()?.change_id ?? 0
  const followedAt = () => followed.get()?.at

  return {
    end: async () => String(end()),

    async keep(now) {
      const at = Date.parse(now)
      if ((followedAt() ?? 0) > at - RENEW_SECONDS * 1000) return
      await lane.write(() => {
        if (begin.run({ at }).changes > 0) mark.run({ now })
        else renew.run({ at })
      })
    },

    async isWhole(place) {
      const after = placeOf(place)
      return after === 0 || !findGap.get({ after })?.gap
    },

    async rest(unusedSince) {
      const since = Date.parse(unusedSince)
      const at = followedAt()
      // A look, since mostly there is nothing to end.
      if (at === undefined || at > since) return false
      return await lane.write(() => rest.run({ since }).changes > 0)
    },

    async read(from, until) {
      const after = placeOf(from)
      const to = until === undefined ? end() : placeOf(until)
      if (after > to) throw unknownEventId()
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
