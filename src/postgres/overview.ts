/** What people look at who watch the queue, on PostgreSQL. */
import { sql } from '../drizzle.ts'
import { type ActivityEvent, activityOf, edgesOf, sampled } from '../queue/activity.ts'
import { type Position, parseCursor } from '../queue/cursor.ts'
import {
  COUNT_LIMIT,
  demandGroups,
  ENDED_LOOK,
  foundPage,
  GROUP_COUNT_LIMIT,
  GROUP_HEADS_LIMIT,
  type GroupHead,
  groupHeads,
  type Overview,
  SEARCH_LIMIT,
  type Standing,
  upTo,
} from '../queue/overview.ts'
import { RUN_STATUSES, type Run, TERMINAL_STATUSES, type Timestamp } from '../queue/run.ts'
import type { Database } from './database.ts'
import { param, runFields, Statement, textParam } from './statements.ts'

const number = (value: number) => sql.raw(String(value))
const claimable = sql.raw(`status = 'pending' AND available_at IS NULL`)

const endings = sql.raw(TERMINAL_STATUSES.map((status) => `'${status}'`).join())

const counted = (condition: string) =>
  sql`(SELECT count(*) FROM (
    SELECT 1 FROM runs WHERE ${sql.raw(condition)} LIMIT ${number(COUNT_LIMIT + 1)}) AS counted)`
const standing = new Statement<Record<keyof Standing, number>>(sql`
  SELECT
    ${counted(`status = 'pending'`)} AS pending,
    ${counted(`status = 'pending' AND available_at IS NOT NULL`)} AS scheduled,
    ${counted(`status = 'claimed'`)} AS claimed,
    ${counted(`status = 'running'`)} AS running,
    ${counted(`status = 'stopping'`)} AS stopping`)

/** Hops from one pair of demands and priority to the next, a seek or two each. */
const heads = new Statement<GroupHead>(sql`
  WITH RECURSIVE heads(seq, key, priority, place) AS (
    (SELECT seq, demand_key, priority, 1 FROM runs WHERE ${claimable}
     ORDER BY demand_key COLLATE "C", priority DESC, created_at, seq LIMIT 1)
    UNION ALL
    SELECT next.seq, next.key, next.priority, heads.place + 1
    FROM heads CROSS JOIN LATERAL (
      (SELECT seq, demand_key AS key, priority FROM runs
       WHERE ${claimable} AND demand_key COLLATE "C" = heads.key AND priority < heads.priority
       ORDER BY priority DESC, created_at, seq LIMIT 1)
      UNION ALL
      (SELECT seq, demand_key AS key, priority FROM runs
       WHERE ${claimable} AND demand_key COLLATE "C" > heads.key
       ORDER BY demand_key COLLATE "C", priority DESC, created_at, seq LIMIT 1)
      LIMIT 1) AS next
    WHERE heads.place < ${number(GROUP_HEADS_LIMIT)})
  SELECT head.seq, head.run_id, head.demands, head.priority, head.updated_at AS since
  FROM heads CROSS JOIN LATERAL (SELECT * FROM runs WHERE runs.seq = heads.seq) AS head`)

// LIMIT 1, here and below: each is sought; where rows seem few they would else be read all. The order
// is that of idx_runs_claim, so that it seems no better to read all that are pending.
const groupCounts = new Statement<{ count: number }>(sql`
  SELECT counted.count
  FROM unnest(${param('seqs')}::bigint[]) WITH ORDINALITY AS given(seq, place)
    CROSS JOIN LATERAL (SELECT demand_key FROM runs WHERE runs.seq = given.seq LIMIT 1) AS head
    CROSS JOIN LATERAL (SELECT count(*) FROM (
      SELECT 1 FROM runs WHERE ${claimable} AND demand_key COLLATE "C" = head.demand_key
      ORDER BY priority DESC, created_at, seq LIMIT ${number(GROUP_COUNT_LIMIT + 1)}) AS those) AS counted
  ORDER BY given.place`)

const findEnded = new Statement<Run>(sql`
  SELECT ${runFields('ended')}
  FROM (SELECT event_id, run_seq, from_status, to_status FROM run_events
    ORDER BY event_id DESC LIMIT ${number(ENDED_LOOK)}) AS event
  CROSS JOIN LATERAL (SELECT *, parameters ->> 'prompt' AS prompt FROM runs
    WHERE runs.seq = event.run_seq LIMIT 1) AS ended
  WHERE event.to_status IN (${endings}) AND event.from_status <> event.to_status
  ORDER BY event.event_id DESC LIMIT ${param('limit')}::int`)
const lastEvent = new Statement<{ at: Timestamp }>(sql`
  SELECT at FROM run_events ORDER BY event_id DESC LIMIT 1 OFFSET ${number(ENDED_LOOK - 1)}`)

/**
 * The first event of each span, found by halving, since time has no index of its own: a commit would
 * pay for it. Ids go with time but for clocks that are set, which only shifts some events by a span.
 */
const findEdges = new Statement<{ place: number; event_id: number | null }>(sql`
  WITH RECURSIVE edge(place, at, low, high) AS (
    SELECT place - 1, at COLLATE "C",
      (SELECT min(event_id) FROM run_events), (SELECT max(event_id) + 1 FROM run_events)
    FROM unnest(${param('edges')}::text[]) WITH ORDINALITY AS given(at, place)
    UNION ALL
    SELECT edge.place, edge.at,
      CASE WHEN probed.at < edge.at THEN (low + high) / 2 + 1 ELSE low END,
      CASE WHEN probed.at < edge.at THEN high ELSE (low + high) / 2 END
    FROM edge CROSS JOIN LATERAL (
      SELECT run_events.at FROM run_events WHERE event_id >= (edge.low + edge.high) / 2
      ORDER BY event_id LIMIT 1) AS probed
    WHERE low < high)
  SELECT place, low AS event_id FROM edge WHERE low >= high`)

const findEvents = new Statement<ActivityEvent>(sql`
  SELECT event.event_id, event.at, event.from_status, event.to_status, earlier.at AS waited_since
  FROM unnest(${param('event_ids')}::bigint[]) AS given(event_id)
    CROSS JOIN LATERAL (
      SELECT * FROM run_events WHERE run_events.event_id = given.event_id LIMIT 1) AS event
    LEFT JOIN LATERAL (
      SELECT at FROM run_events
      WHERE run_seq = event.run_seq AND run_events.event_id < event.event_id
      ORDER BY event_id DESC LIMIT 1) AS earlier ON event.to_status = 'claimed'`)

const isWhereGiven = (column: string) =>
  sql`(${textParam(column)} IS NULL OR ${sql.raw(column)} = ${textParam(column)})`
const looked = sql`(
  SELECT * FROM runs WHERE seq < ${param('before')}::bigint
  ORDER BY seq DESC LIMIT ${number(SEARCH_LIMIT)}) AS looked`
const found = new Statement<Run & Position>(sql`
  SELECT ${runFields('found')}, found.seq
  FROM (SELECT *, parameters ->> 'prompt' AS prompt FROM ${looked}) AS found
  WHERE status || '' = ANY(${param('statuses')}::text[])
    AND ${isWhereGiven('session_id')} AND ${isWhereGiven('runner_id')}
    AND ${isWhereGiven('agent_name')}
    AND (${textParam('text')} IS NULL
      OR position(lower(${textParam('text')} COLLATE "C") IN lower(prompt COLLATE "C")) > 0)
  ORDER BY seq DESC LIMIT ${param('limit')}::int`)
const lastLooked = new Statement<Position & { looked: number }>(sql`
  SELECT seq, created_at, looked
  FROM (SELECT seq, created_at, count(*) OVER () AS looked FROM ${looked}) AS counted
  ORDER BY seq LIMIT 1`)

export function createOverview(database: Database): Overview {
  return {
    async standing() {
      const counts = await database.run((on) => standing.get(on))
      const of = (status: keyof Standing) => upTo(counts?.[status] ?? 0, COUNT_LIMIT)
      return {
        pending: of('pending'),
        scheduled: of('scheduled'),
        claimed: of('claimed'),
        running: of('running'),
        stopping: of('stopping'),
      }
    },

    demandGroups: (limit) =>
      database.run(async (on) => {
        const rows = await heads.all(on)
        const groups = groupHeads(rows)
        const seqs = groups.slice(0, limit).map(({ next }) => next.seq)
        const counts = await groupCounts.all(on, { seqs })
        return demandGroups(
          groups,
          counts.map(({ count }) => count),
          rows.length,
        )
      }),

    ended: (limit) =>
      database.run(async (on) => {
        const rows = await findEnded.all(on, { limit })
        const isFull = rows.length === limit
        return {
          runs: rows,
          looked_back_to: isFull ? null : ((await lastEvent.get(on))?.at ?? null),
        }
      }),

    activity: (from, seconds, count) =>
      database.run(async (on) => {
        const given = edgesOf(from, seconds, count)
        const places = new Map<number, number>()
        for (const { place, event_id } of await findEdges.all(on, { edges: given })) {
          places.set(place, event_id ?? 0)
        }
        const edges = given.map((_, place) => places.get(place) ?? 0)
        const events = await findEvents.all(on, { event_ids: sampled(edges).flat() })
        return activityOf(from, seconds, edges, events)
      }),

    search: ({ statuses = RUN_STATUSES, limit, cursor, ...wanted }) =>
      database.run(async (on) => {
        const before = parseCursor(cursor).seq
        const last = await lastLooked.get(on, { before })
        if (!last) return { runs: [], next_cursor: null, looked_back_to: null }
        const given = {
          before,
          statuses,
          session_id: wanted.session_id ?? null,
          runner_id: wanted.runner_id ?? null,
          agent_name: wanted.agent_name ?? null,
          text: wanted.text ?? null,
        }
        // One more than asked for tells whether the page ends before what was looked at does.
        const rows = await found.all(on, { ...given, limit: limit + 1 })
        return foundPage(rows, limit, last)
      }),
  }
}
