/** What people look at who watch the queue, on SQLite. */
import { desc, sql } from '../drizzle.ts'
import { activityOf, edgesOf, sampled } from '../queue/activity.ts'
import { parseCursor } from '../queue/cursor.ts'
import {
  COUNT_LIMIT,
  demandGroups,
  ENDED_LOOK,
  foundPage,
  GROUP_COUNT_LIMIT,
  GROUP_HEADS_LIMIT,
  groupHeads,
  type Overview,
  SEARCH_LIMIT,
  upTo,
} from '../queue/overview.ts'
import { RUN_STATUSES, type RunStatus, TERMINAL_STATUSES, type Timestamp } from '../queue/run.ts'
import type { Orm } from './database.ts'
import { runs } from './schema.ts'
import { atMost, param, runColumns } from './statements.ts'

const number = (value: number) => sql.raw(String(value))
const pendingRuns = sql.raw(
  `runs INDEXED BY idx_runs_claim WHERE status = 'pending' AND available_at IS NULL`,
)

/** Hops from one pair of demands and priority to the next, a seek or two each. */
const groupHeadSeqs = sql`(
  WITH RECURSIVE heads(seq) AS (
    SELECT (SELECT seq FROM ${pendingRuns} ORDER BY demand_key, priority DESC, created_at LIMIT 1)
    UNION ALL
    SELECT coalesce(
      (SELECT seq FROM ${pendingRuns}
        AND demand_key = head.demand_key AND priority < head.priority
       ORDER BY priority DESC, created_at LIMIT 1),
      (SELECT seq FROM ${pendingRuns} AND demand_key > head.demand_key
       ORDER BY demand_key, priority DESC, created_at LIMIT 1))
    FROM heads CROSS JOIN runs AS head ON head.seq = heads.seq
    LIMIT ${number(GROUP_HEADS_LIMIT)})
  SELECT seq FROM heads)`

/**
 * The first event of each span, found by halving, since time has no index of its own: a commit would
 * pay for it. Ids go with time but for clocks that are set, which only shifts some events by a span.
 */
const edges = sql`(
  WITH RECURSIVE edge(place, at, low, high) AS (
    SELECT given.key, given.value,
      (SELECT min(event_id) FROM run_events), (SELECT max(event_id) + 1 FROM run_events)
    FROM json_each(${param('edges')}) AS given
    UNION ALL
    SELECT place, edge.at,
      iif(probed.value < edge.at, (low + high) / 2 + 1, low),
      iif(probed.value < edge.at, high, (low + high) / 2)
    FROM edge CROSS JOIN json_each(json_array((
      SELECT run_events.at FROM run_events WHERE event_id >= (edge.low + edge.high) / 2
      ORDER BY event_id LIMIT 1))) AS probed
    WHERE low < high)
  SELECT place, low AS event_id FROM edge WHERE low >= high) AS edge`

const endings = sql.raw(TERMINAL_STATUSES.map((status) => `'${status}'`).join())

/** `+`: among those that are looked at, not by an index on it. */
const isWhereGiven = (column: string) =>
  sql`(${param(column)} IS NULL OR ${sql.raw(`+${column}`)} = ${param(column)})`

export function createOverview(orm: Orm): Overview {
  const counted = (condition: string, index = '') =>
    sql<number>`(SELECT count(*) FROM (SELECT 1 FROM runs ${sql.raw(index)} WHERE ${sql.raw(condition)}
      LIMIT ${number(COUNT_LIMIT + 1)}))`
  const standing = orm
    .select({
      pending: counted(`status = 'pending'`),
      // Told, since nothing says which of two indexes has fewer: 35 ms instead of 1 with 100 000 pending.
      scheduled: counted(
        `status = 'pending' AND available_at IS NOT NULL`,
        'INDEXED BY idx_runs_available',
      ),
      claimed: counted(`status = 'claimed'`),
      running: counted(`status = 'running'`),
      stopping: counted(`status = 'stopping'`),
    })
    .from(sql`(SELECT 1)`)
    .prepare()

  const heads = orm
    .select({
      seq: runs.seq,
      run_id: runs.run_id,
      demands: runs.demands,
      priority: runs.priority,
      since: runs.updated_at,
    })
    .from(runs)
    .where(sql`seq IN ${groupHeadSeqs}`)
    .prepare()
  const groupCounts = orm
    .select({
      count: sql<number>`(SELECT count(*) FROM (
        SELECT 1 FROM ${pendingRuns} AND demand_key = head.demand_key
        LIMIT ${number(GROUP_COUNT_LIMIT + 1)}))`,
    })
    .from(
      sql`json_each(${param('seqs')}) AS given CROSS JOIN runs AS head ON head.seq = given.value`,
    )
    .prepare()

  const latest = sql`(
    SELECT event_id, run_seq, from_status, to_status FROM run_events WHERE event_id > 0
    ORDER BY event_id DESC LIMIT ${number(ENDED_LOOK)})`
  const findEnded = orm
    .select(runColumns)
    .from(sql`${latest} AS looked`)
    .innerJoin(runs, sql`${runs.seq} = looked.run_seq`)
    .where(sql`looked.to_status IN (${endings}) AND looked.from_status <> looked.to_status`)
    .orderBy(sql`looked.event_id DESC`)
    .limit(atMost('limit'))
    .prepare()
  const lastEvent = orm
    .select({
      at: sql<Timestamp | null>`(
      SELECT at FROM run_events WHERE event_id > 0 ORDER BY event_id DESC LIMIT 1 OFFSET ${number(ENDED_LOOK - 1)})`,
    })
    .from(sql`(SELECT 1)`)
    .prepare()

  const findEdges = orm
    .select({ place: sql<number>`place`, event_id: sql<number | null>`event_id` })
    .from(edges)
    .prepare()
  const findEvents = orm
    .select({
      event_id: sql<number>`event.event_id`,
      at: sql<Timestamp>`event.at`,
      from_status: sql<RunStatus | null>`event.from_status`,
      to_status: sql<RunStatus>`event.to_status`,
      waited_since: sql<Timestamp | null>`iif(event.to_status = 'claimed', (
        SELECT earlier.at FROM run_events AS earlier
        WHERE earlier.run_seq = event.run_seq AND earlier.event_id < event.event_id
        ORDER BY earlier.event_id DESC LIMIT 1), NULL)`,
    })
    .from(
      sql`json_each(${param('event_ids')}) AS given
        CROSS JOIN run_events AS event ON event.event_id = given.value`,
    )
    .prepare()

  const looked = sql`(
    SELECT seq FROM runs WHERE seq < ${param('before')}
    ORDER BY seq DESC LIMIT ${number(SEARCH_LIMIT)})`
  const found = orm
    .select({ ...runColumns, seq: runs.seq })
    .from(runs)
    .where(
      sql`seq IN ${looked} AND status IN (SELECT value FROM json_each(${param('statuses')}))
        AND ${isWhereGiven('session_id')} AND ${isWhereGiven('runner_id')}
        AND ${isWhereGiven('agent_name')}
        AND (${param('text')} IS NULL OR instr(lower(prompt), lower(${param('text')})) > 0)`,
    )
    .orderBy(desc(runs.seq))
    .limit(atMost('limit'))
    .prepare()
  const lastLooked = orm
    .select({
      seq: runs.seq,
      created_at: runs.created_at,
      looked: sql<number>`(SELECT count(*) FROM ${looked})`,
    })
    .from(runs)
    .where(sql`seq = (SELECT min(seq) FROM ${looked})`)
    .prepare()

  return {
    async standing() {
      const counts = standing.get()
      const of = (status: 'pending' | 'scheduled' | 'claimed' | 'running' | 'stopping') =>
        upTo(counts?.[status] ?? 0, COUNT_LIMIT)
      return {
        pending: of('pending'),
        scheduled: of('scheduled'),
        claimed: of('claimed'),
        running: of('running'),
        stopping: of('stopping'),
      }
    },

    async demandGroups(limit) {
      const rows = heads.all()
      const groups = groupHeads(rows)
      const seqs = groups.slice(0, limit).map(({ next }) => next.seq)
      const counts = groupCounts.all({ seqs: JSON.stringify(seqs) })
      return demandGroups(
        groups,
        counts.map(({ count }) => count),
        rows.length,
      )
    },

    async ended(limit) {
      const rows = findEnded.all({ limit })
      const isFull = rows.length === limit
      return { runs: rows, looked_back_to: isFull ? null : (lastEvent.get()?.at ?? null) }
    },

    async activity(from, seconds, count) {
      const given = edgesOf(from, seconds, count)
      const found = findEdges.all({ edges: JSON.stringify(given) })
      const places = new Map(found.map(({ place, event_id }) => [place, event_id ?? 0]))
      const edges = given.map((_, place) => places.get(place) ?? 0)
      const event_ids = JSON.stringify(sampled(edges).flat())
      return activityOf(from, seconds, edges, findEvents.all({ event_ids }))
    },

    async search({ statuses = RUN_STATUSES, limit, cursor, ...wanted }) {
      const before = parseCursor(cursor).seq
      const last = lastLooked.get({ before })
      if (!last) return { runs: [], next_cursor: null, looked_back_to: null }
      // One more than asked for tells whether the page ends before what was looked at does.
      const rows = found.all({
        before,
        statuses: JSON.stringify(statuses),
        session_id: wanted.session_id ?? null,
        runner_id: wanted.runner_id ?? null,
        agent_name: wanted.agent_name ?? null,
        text: wanted.text ?? null,
        limit: limit + 1,
      })
      return foundPage(rows, limit, last)
    },
  }
}
