/**
 * The metrics: the sum of run_events, folded into `counters` bit by bit; the events that follow are
 * added by whoever reads, in the same statement.
 *
 * Ids are given before the commit, so `metrics_position` tells by a snapshot what was folded: all that
 * is visible in it, and of the transaction that is its end the events up to `event_id`. Events go in
 * order of transactions. Those that were under way at the time are named by the snapshot, and follow.
 */
import { sql } from '../drizzle.ts'
import {
  bucketCase,
  type Counter,
  countersOf,
  FOLD_LIMIT,
  type Metrics,
  type Tally,
  totalsOf,
  UNFOLDED_LIMIT,
} from '../queue/metrics.ts'
import { TERMINAL_STATUSES } from '../queue/run.ts'
import type { Connection, Database } from './database.ts'
import { metricsPosition } from './schema.ts'
import { param, preparedChange, Statement, textParam } from './statements.ts'

const endsOfAttempts = sql.raw(['pending', ...TERMINAL_STATUSES].map((word) => `'${word}'`).join())

const place = sql`place AS MATERIALIZED (
  SELECT *, pg_current_snapshot() AS until FROM ${metricsPosition})`
/** Under way when it was folded last, and ended since. */
const late = sql`
  SELECT run_events.* FROM run_events, place
  WHERE xid = ANY(ARRAY(SELECT pg_snapshot_xip(snapshot) FROM place))
    AND pg_visible_in_snapshot(xid, until) AND run_events.event_id > floor_event_id`
const following = sql`
  SELECT run_events.* FROM run_events, place
  WHERE xid >= (SELECT pg_snapshot_xmax(snapshot) FROM place)
    AND xid < (SELECT pg_snapshot_xmax(until) FROM place)
    AND (xid > pg_snapshot_xmax(snapshot) OR run_events.event_id > place.event_id)
    AND pg_visible_in_snapshot(xid, until) AND run_events.event_id > floor_event_id
  ORDER BY xid, run_events.event_id`

/** Events of the same run before the one at hand. */
const earlier = sql`run_events AS earlier
  WHERE earlier.run_seq = batch.run_seq AND earlier.event_id < batch.event_id`

/**
 * Events that are not folded: those that were late, and the first `limit` of those that followed. What
 * a claim's run waited counts from when it could be claimed; what an attempt ran for, from the start
 * that was reported of it.
 */
const unfolded = sql`${place},
  late AS MATERIALIZED (${late} LIMIT ${param('late_limit')}),
  following AS MATERIALIZED (${following} LIMIT ${param('limit')}),
  batch AS MATERIALIZED (SELECT * FROM late UNION ALL SELECT * FROM following),
  timed AS MATERIALIZED (
    SELECT *, milliseconds_between(CASE
      WHEN to_status = 'claimed' THEN coalesce(
        (SELECT at FROM ${earlier}
           AND to_status = 'pending' AND cause IS DISTINCT FROM 'demands_changed'
         ORDER BY earlier.event_id DESC LIMIT 1),
        (SELECT created_at FROM runs WHERE seq = batch.run_seq))
      WHEN from_status IN ('running', 'stopping') AND to_status IN (${endsOfAttempts}) THEN
        (SELECT CASE to_status WHEN 'running' THEN at END FROM ${earlier}
           AND to_status IN ('claimed', 'running') AND from_status IS DISTINCT FROM to_status
         ORDER BY earlier.event_id DESC LIMIT 1)
      END, at) AS ms
    FROM batch),
  tally AS (
    SELECT from_status, to_status, cause IS NOT DISTINCT FROM 'attempt_failed' AS failed,
      ${sql.raw(bucketCase('ms'))} AS bucket,
      count(*) AS count, coalesce(sum(ms), 0)::bigint AS milliseconds
    FROM timed GROUP BY 1, 2, 3, 4)`

interface Page {
  /** What is visible to this fold … */
  until: string
  /** … and how many events there were beyond those that were late, and which was the last. */
  following: number
  last_xid: string | null
  last_event_id: number | null
  newest_event_id: number
  /** Runs that were deleted. */
  gone: string[]
}

const last = sql.raw('FROM following ORDER BY xid DESC, event_id DESC LIMIT 1')
const tally = new Statement<Tally & Page>(sql`
  WITH ${unfolded}
  SELECT tally.*, place.until::text, page.*
  FROM place
  CROSS JOIN (
    SELECT (SELECT count(*) FROM following) AS following,
      (SELECT xid::text ${last}) AS last_xid,
      (SELECT event_id ${last}) AS last_event_id,
      (SELECT max(event_id) FROM batch) AS newest_event_id,
      ARRAY(SELECT DISTINCT run_seq FROM batch WHERE NOT EXISTS (
        SELECT 1 FROM runs WHERE seq = batch.run_seq))::text[] AS gone) AS page
  CROSS JOIN tally`)

const readTotals = new Statement<Tally & { name: string | null; value: number }>(sql`
  WITH ${unfolded}
  SELECT name, sum(value)::bigint AS value, NULL AS from_status, NULL AS to_status, NULL AS failed,
    NULL::int AS bucket, NULL::bigint AS count, NULL::bigint AS milliseconds
  FROM counters WHERE name LIKE 'metrics\\_%' GROUP BY name
  UNION ALL
  SELECT NULL, 0, from_status, to_status, failed, bucket, count, milliseconds FROM tally`)

/** A dump that was restored elsewhere: transactions count anew there. */
const isFromElsewhere = sql`pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot())`

const isBehind = new Statement<{ behind: boolean }>(sql`
  WITH ${place}
  SELECT ${isFromElsewhere} OR EXISTS (${late}) OR EXISTS (${following}) AS behind FROM place`)

/** Whoever folds is alone, and so is whoever deletes runs: see the trigger. */
const lock = preparedChange(sql`SELECT 1 FROM ${metricsPosition} FOR UPDATE`)

// What was folded is known by the ids of events, then.
const startAnew = preparedChange(sql`
  UPDATE ${metricsPosition} SET snapshot = '1:1:', event_id = 0, floor_event_id = newest_event_id
  WHERE ${isFromElsewhere}`)

const advance = preparedChange(sql`
  UPDATE ${metricsPosition} SET
    snapshot = ${textParam('snapshot')}::pg_snapshot,
    event_id = ${param('event_id')}::bigint,
    newest_event_id = greatest(newest_event_id, ${param('newest_event_id')}::bigint)`)

const grow = preparedChange(sql`
  INSERT INTO counters (name, shard, value)
  SELECT name, 0, value
  FROM unnest(${param('names')}::text[], ${param('values')}::bigint[]) AS growth(name, value)
  ON CONFLICT (name, shard) DO UPDATE SET value = counters.value + excluded.value`)

/** Of runs that were deleted meanwhile: they stayed until they were folded. */
const forget = new Statement<never>(
  sql`SELECT forget_events(seq) FROM unnest(${param('gone')}::bigint[]) AS seq`,
)

const countRunners = new Statement<{ online: number; stale: number }>(sql`
  SELECT count(*) FILTER (WHERE last_heartbeat > ${textParam('stale_before')}) AS online,
    count(*) FILTER (WHERE last_heartbeat <= ${textParam('stale_before')}) AS stale
  FROM runners`)

/** Where a fold ended: at the end of what it saw, or within, after the last event of a full page. */
function positionAfter({ until, following, last_xid, last_event_id }: Page) {
  if (following < FOLD_LIMIT || last_xid === null) return { snapshot: until, event_id: 0 }
  const underWay = (until.split(':')[2] ?? '')
    .split(',')
    .filter((xid) => xid !== '' && BigInt(xid) < BigInt(last_xid))
  const snapshot = `${underWay[0] ?? last_xid}:${last_xid}:${underWay.join(',')}`
  return { snapshot, event_id: last_event_id }
}

const eventsIn = (tallies: readonly Tally[]): number =>
  tallies.reduce((sum, { count }) => sum + count, 0)

async function fold(on: Connection): Promise<{ events: number }> {
  await lock.run(on)
  await startAnew.run(on)
  const tallies = await tally.all(on, { limit: FOLD_LIMIT, late_limit: null })
  const [page] = tallies
  if (!page) return { events: 0 }
  const { newest_event_id, gone } = page
  await advance.run(on, { ...positionAfter(page), newest_event_id })
  const counters = countersOf(tallies)
  await grow.run(on, {
    names: counters.map(({ name }) => name),
    values: counters.map(({ value }) => value),
  })
  if (gone.length > 0) await forget.all(on, { gone })
  return { events: eventsIn(tallies) }
}

export function createMetrics(database: Database): Metrics {
  const behind = async () => (await database.run((on) => isBehind.get(on)))?.behind

  async function readAll(on: Connection) {
    const limit = UNFOLDED_LIMIT + 1
    const rows = await readTotals.all(on, { limit, late_limit: limit })
    const tallies = rows.filter(({ name }) => name === null)
    const kept = rows.flatMap(({ name, value }): Counter[] =>
      name === null ? [] : [{ name, value }],
    )
    return eventsIn(tallies) > UNFOLDED_LIMIT ? null : totalsOf([...kept, ...countersOf(tallies)])
  }

  return {
    fold: async () => ((await behind()) ? await database.transaction(fold) : { events: 0 }),

    read: (stale_before) =>
      database.run(async (on) => ({
        totals: await readAll(on),
        runners: (await countRunners.get(on, { stale_before })) ?? { online: 0, stale: 0 },
      })),

    commits: async () => database.commits,
  }
}
