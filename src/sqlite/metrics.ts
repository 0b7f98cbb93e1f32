/**
 * The metrics: the sum of run_events, folded into `counters` bit by bit. `metrics_event_id` tells how
 * far; the events that follow are added by whoever reads, in the same statement.
 */
import { sql } from '../drizzle.ts'
import {
  bucketCase,
  countersOf,
  FOLD_LIMIT,
  type Metrics,
  type Tally,
  totalsOf,
  UNFOLDED_LIMIT,
} from '../queue/metrics.ts'
import { TERMINAL_STATUSES } from '../queue/run.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import { counters, runEvents, runners, runs } from './schema.ts'
import { atMost, param } from './statements.ts'

const folded = sql`(SELECT value FROM ${counters} WHERE name = 'metrics_event_id')`
const newest = sql`(SELECT max(event_id) FROM ${runEvents})`
const endsOfAttempts = sql.raw(['pending', ...TERMINAL_STATUSES].map((word) => `'${word}'`).join())

/** Events of the same run before the one at hand. */
const earlier = sql`${runEvents} AS earlier
  WHERE earlier.run_seq = batch.run_seq AND earlier.event_id < batch.event_id`

/**
 * The first events that are not folded, alike ones together. What a claim's run waited counts
 * from when it could be claimed; what an attempt ran for, from the start that was reported of it.
 */
const unfolded = (limit: number) => sql`(
  WITH
    batch AS MATERIALIZED (
      SELECT event_id, run_seq, at, from_status, to_status, cause
      FROM ${runEvents} WHERE event_id > ${folded}
      ORDER BY event_id LIMIT ${atMost(limit)}),
    began AS (
      SELECT *, CASE
        WHEN to_status = 'claimed' THEN coalesce(
          (SELECT at FROM ${earlier} AND to_status = 'pending' AND cause IS NOT 'demands_changed'
           ORDER BY earlier.event_id DESC LIMIT 1),
          (SELECT created_at FROM ${runs} WHERE seq = batch.run_seq))
        WHEN from_status IN ('running', 'stopping') AND to_status IN (${endsOfAttempts}) THEN
          (SELECT iif(to_status = 'running', at, NULL)
           FROM ${earlier} AND to_status IN ('claimed', 'running') AND from_status <> to_status
           ORDER BY earlier.event_id DESC LIMIT 1)
        END AS since
      FROM batch),
    -- Materialized: else all of this is done anew for each bucket that it is compared with.
    timed AS MATERIALIZED (
      SELECT *, max(0, round((julianday(at) - julianday(since)) * 86400000)) AS ms FROM began)
  SELECT from_status, to_status, cause IS 'attempt_failed' AS failed,
    ${sql.raw(bucketCase('ms'))} AS bucket,
    count(*) AS count, sum(ms) AS milliseconds, max(event_id) AS last
  FROM timed GROUP BY 1, 2, 3, 4)`

type Reading = Tally & { name: string | null; value: number }

export function createMetrics(orm: Orm, lane: CommitLane): Metrics {
  const isBehind = orm
    .select({ behind: sql<number>`coalesce(${newest}, 0) > ${folded}` })
    .from(sql`(SELECT 1)`)
    .prepare()

  const tally = orm
    .select({
      from_status: sql<Tally['from_status']>`from_status`,
      to_status: sql<Tally['to_status']>`to_status`,
      failed: sql<number>`failed`,
      bucket: sql<number | null>`bucket`,
      count: sql<number>`count`,
      milliseconds: sql<number>`milliseconds`,
      last: sql<number>`last`,
    })
    .from(unfolded(FOLD_LIMIT))
    .prepare()

  const advance = orm
    .update(counters)
    .set({ value: param('last') })
    .where(sql`name = 'metrics_event_id' AND value < +${param('last')}`)
    .returning({ name: counters.name })
    .prepare()

  const grow = orm
    .insert(counters)
    .values({ name: param('name'), value: param('value') })
    .onConflictDoUpdate({ target: counters.name, set: { value: sql`value + excluded.value` } })
    .prepare()

  // Of runs that were deleted meanwhile: they stayed until they were folded. The newest event stays,
  // so that ids do not come back; so it is looked at again, as the one that was folded last. (With a
  // plus, which keeps SQLite from seeking by that bound.)
  const forget = orm
    .delete(runEvents)
    .where(
      sql`run_seq IN (
          SELECT run_seq FROM ${runEvents} AS gone
          WHERE event_id >= +${param('before')} AND event_id <= +${param('last')}
            AND NOT EXISTS (SELECT 1 FROM ${runs} WHERE seq = gone.run_seq)
            AND NOT EXISTS (
              SELECT 1 FROM ${runEvents} AS later
              WHERE later.run_seq = gone.run_seq AND later.event_id > +${param('last')}))
        AND +event_id < ${newest}`,
    )
    .prepare()

  const position = orm
    .select({ event_id: sql<number>`${folded}` })
    .from(sql`(SELECT 1)`)
    .prepare()

  const readTotals = orm
    .select({
      name: sql<string | null>`name`,
      value: sql<number>`value`,
      from_status: sql<Tally['from_status']>`from_status`,
      to_status: sql<Tally['to_status']>`to_status`,
      failed: sql<number>`failed`,
      bucket: sql<number | null>`bucket`,
      count: sql<number>`count`,
      milliseconds: sql<number>`milliseconds`,
    })
    .from(sql`(
      SELECT name, value, NULL AS from_status, NULL AS to_status, NULL AS failed, NULL AS bucket,
        NULL AS count, NULL AS milliseconds
      FROM ${counters} WHERE name GLOB 'metrics_*'
      UNION ALL
      SELECT NULL, 0, from_status, to_status, failed, bucket, count, milliseconds
      FROM ${unfolded(UNFOLDED_LIMIT + 1)})`)
    .prepare()

  const countRunners = orm
    .select({
      online: sql<number>`count(*) FILTER (WHERE last_heartbeat > +${param('stale_before')})`,
      stale: sql<number>`count(*) FILTER (WHERE last_heartbeat <= +${param('stale_before')})`,
    })
    .from(runners)
    .prepare()

  function fold(): { events: number } {
    const tallies = tally.all()
    const last = Math.max(0, ...tallies.map((each) => each.last))
    const before = position.get()?.event_id ?? 0
    if (!advance.get({ last })) return { events: 0 }
    for (const { name, value } of countersOf(tallies)) grow.run({ name, value })
    forget.run({ before, last })
    return { events: eventsIn(tallies) }
  }

  return {
    fold: async () => (isBehind.get()?.behind ? await lane.write(fold) : { events: 0 }),

    async read(stale_before) {
      const rows: Reading[] = readTotals.all()
      const tallies = rows.filter(({ name }) => name === null)
      const kept = rows.flatMap(({ name, value }) => (name === null ? [] : [{ name, value }]))
      return {
        totals:
          eventsIn(tallies) > UNFOLDED_LIMIT ? null : totalsOf([...kept, ...countersOf(tallies)]),
        runners: countRunners.get({ stale_before }) ?? { online: 0, stale: 0 },
      }
    },

    commits: async () => lane.commits,
  }
}

const eventsIn = (tallies: readonly Tally[]): number =>
  tallies.reduce((sum, { count }) => sum + count, 0)
