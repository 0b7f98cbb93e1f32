/**
 * The events of all runs. Ids are given before the commit, so that a lower one may become visible
 * after a higher one was read. So a place is a snapshot: all that it shows was read. What is read
 * next is what a later snapshot shows beyond it, in the order of the ids, which is that of the
 * changes of each run; a place within such a page names both snapshots and the last id.
 *
 * Of what a snapshot does not show, nearly all has an id higher than any that was given before it
 * (`floor`), so that pages are sought by id. The rest comes of transactions that were under way then:
 * the snapshot lists them, but for those that began after the latest that had ended. These are the
 * next few transaction ids, one for each connection and each of its savepoints.
 */
import { sql } from '../drizzle.ts'
import type { Feed, FeedPage } from '../queue/feed.ts'
import { unknownEventId } from '../queue/refusals.ts'
import { EVENTS_LIMIT, type LiveRunEvent } from '../queue/run-event.ts'
import type { Connection, Database } from './database.ts'
import { eventFields } from './history.ts'
import { param, Statement, textParam } from './statements.ts'

/** Far more than may be under way at once; looked through once for each time that somebody was away. */
const UNDER_WAY_MAX = 10_000

interface Place {
  floor: number
  before: string
  /** In the midst of a page. */
  within?: { until: string; after: number } | undefined
}

const SNAPSHOT = '\\d{1,19}:\\d{1,19}:[\\d,]{0,4000}'
const PLACE = new RegExp(`^(\\d{1,15})\\.(${SNAPSHOT})(?:\\.(${SNAPSHOT})\\.(\\d{1,15}))?$`)
/** No transaction has such a low id. */
const START: Place = { floor: 0, before: '1:1:' }

/** @throws QueueError unknown_event_id */
function parsePlace(text: string): Place {
  if (text === '0') return START
  const [, floor, before, until, after] = PLACE.exec(text) ?? []
  if (floor === undefined || before === undefined) throw unknownEventId()
  const within = until && after ? { until, after: Number(after) } : undefined
  return { floor: Number(floor), before, within }
}

const placeText = ({ floor, before, within }: Place): string =>
  [floor, before, ...(within ? [within.until, within.after] : [])].join('.')

const end = new Statement<{ floor: number; before: string }>(sql`
  SELECT pg_current_snapshot()::text AS before,
    coalesce((SELECT max(event_id) FROM run_events), 0) AS floor`)

interface Row extends Omit<LiveRunEvent, 'event_id'> {
  until: string
  is_past: boolean
  /** Null: there was nothing. */
  event_id: number | null
}

const event = sql`${eventFields}, runs.run_id, runs.session_id`
/** Of a row, not of an index: it is the ids that are sought. */
const isNew = sql`CASE WHEN pg_visible_in_snapshot(event.xid, (SELECT before FROM span)) THEN false
  ELSE pg_visible_in_snapshot(event.xid, (SELECT until FROM span)) END`
const after = sql`${param('after')}::bigint`
const floor = sql`${param('floor')}::bigint`
const limit = sql.raw(String(EVENTS_LIMIT))
/** From the event to its run: while there are few, the events of each run look as good to the planner. */
const isItsRun = sql.raw('runs.seq = event.run_seq + 0')
// `+ 0`: these are sought by their transaction.
const underWay = (condition: ReturnType<typeof sql>) => sql`
  SELECT ${event}
  FROM run_events AS event JOIN runs ON ${isItsRun}
  WHERE ${after} < ${floor} AND event.event_id + 0 > ${after} AND event.event_id + 0 <= ${floor}
    AND ${condition} AND pg_visible_in_snapshot(event.xid, (SELECT until FROM span))`
const xmax = sql`pg_snapshot_xmax((SELECT before FROM span))`

const read = new Statement<Row>(sql`
  WITH span AS MATERIALIZED (
    SELECT ${param('before')}::pg_snapshot AS before,
      coalesce(${textParam('until')}::pg_snapshot, pg_current_snapshot()) AS until),
  late AS (
    ${underWay(sql`event.xid = ANY(ARRAY(SELECT pg_snapshot_xip(before) FROM span))`)}
    UNION ALL
    ${underWay(sql`event.xid >= ${xmax}
      AND event.xid < (${xmax}::text::bigint + ${sql.raw(String(UNDER_WAY_MAX))})::text::xid8`)}),
  fresh AS (
    SELECT ${event}
    FROM run_events AS event JOIN runs ON ${isItsRun}
    WHERE event.event_id > greatest(${floor}, ${after}) AND ${isNew}
    ORDER BY event.event_id LIMIT ${limit}),
  page AS (
    SELECT * FROM (SELECT * FROM late UNION ALL SELECT * FROM fresh) AS found
    ORDER BY event_id LIMIT ${limit})
  SELECT span.until::text,
    pg_snapshot_xmax(span.until) <= pg_snapshot_xmax(pg_current_snapshot())
      AND pg_snapshot_xmax(span.before) <= pg_snapshot_xmax(span.until) AS is_past,
    page.*
  FROM span LEFT JOIN page ON true
  ORDER BY event_id`)

async function readPage(
  on: Connection,
  from: Place,
  target: string | undefined,
): Promise<FeedPage<LiveRunEvent>> {
  const { floor, before, within } = from
  const wanted = within?.until ?? (target === undefined ? null : parsePlace(target).before)
  const rows = await read.all(on, { floor, before, until: wanted, after: within?.after ?? 0 })
  const [first] = rows
  if (!first?.is_past) throw unknownEventId()
  const { until } = first
  const events = rows.flatMap(({ until: _, is_past: __, event_id, ...facts }) =>
    event_id === null ? [] : [{ ...facts, event_id }],
  )
  const isFull = events.length === EVENTS_LIMIT
  const at = (event_id: number): Place => ({ ...from, within: { until, after: event_id } })
  const last = events.at(-1)?.event_id ?? within?.after ?? 0
  const isThere = !within && target !== undefined
  const beyond = isThere ? target : placeText({ floor: Math.max(floor, last), before: until })
  const next = isFull ? placeText(at(last)) : beyond
  return {
    items: events.map((item, index) => ({
      place: index === events.length - 1 ? next : placeText(at(item.event_id)),
      item,
    })),
    next,
    // Behind a page that was begun before, more may have come.
    more: isFull || within !== undefined,
  }
}

/** What PostgreSQL says to a snapshot that is none. */
const INVALID_VALUE = /^22/

export const createRunFeed = (database: Database): Feed<LiveRunEvent> => ({
  async end() {
    const found = await database.run((on) => end.get(on))
    return placeText(found ?? START)
  },

  read: (after, until) =>
    database.run(async (on) => {
      try {
        return await readPage(on, parsePlace(after), until)
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : ''
        throw INVALID_VALUE.test(code) ? unknownEventId() : error
      }
    }),
})
