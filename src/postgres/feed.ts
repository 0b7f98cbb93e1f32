/**
 * What was committed since it was last read. Ids are given before the commit, so a lower one may
 * become visible after a higher one was read. So the feed reads what is visible in the snapshot of
 * now and was not in the one before: events of transactions that began since, and of those that were
 * under way then; no gap, nothing twice, and no waiting for transactions that take long.
 */
import { type SQLWrapper, sql } from '../drizzle.ts'
import type { RunNews } from '../queue/engine.ts'
import type { Connection } from './database.ts'
import { runEvents, runnerSignals } from './schema.ts'
import { param, Statement } from './statements.ts'

export interface Position {
  /** Everything visible in this snapshot was read … */
  before: string
  /** … and of what is visible in this one, the events up to `after`. */
  until: string | null
  after: number
  /** The last change of a session that was told of: its number. */
  sequence: number
}

/** What one look reads at most; the next reads on. */
const NEWS_LIMIT = 500

interface Row {
  until: string
  /** A run's event; null: a signal to a runner, or nothing. */
  event_id: number | null
  run_id: string
  status: RunNews['status']
  demands: RunNews['demands']
  available_at: RunNews['available_at']
  runner_id: string | null
  /** Of the latest change of a session that has a number … */
  sequence: number
  /** … and whether there are some that have none yet. */
  unnumbered: boolean
}

const lastSequence = sql`coalesce((SELECT max(sequence) FROM session_changes), 0)`
const end = new Statement<{ snapshot: string; sequence: number }>(
  sql`SELECT pg_current_snapshot()::text AS snapshot, ${lastSequence} AS sequence`,
)

/** Transactions that another server's dump brought along count as under way until theirs are used up. */
const newIn = (table: SQLWrapper) => sql`
  SELECT * FROM ${table}
  WHERE xid >= pg_snapshot_xmax((SELECT before FROM span))
    AND xid < pg_snapshot_xmax((SELECT until FROM span))
    AND pg_visible_in_snapshot(xid, (SELECT until FROM span))
  UNION ALL
  SELECT * FROM ${table}
  WHERE xid = ANY(ARRAY(SELECT pg_snapshot_xip(before) FROM span))
    AND pg_visible_in_snapshot(xid, (SELECT until FROM span))`

const read = new Statement<Row>(sql`
  WITH span AS MATERIALIZED (
    SELECT ${param('before')}::pg_snapshot AS before,
      coalesce(${param('until')}::pg_snapshot, pg_current_snapshot()) AS until),
  new_events AS MATERIALIZED (${newIn(runEvents)}),
  new_signals AS MATERIALIZED (${newIn(runnerSignals)}),
  page AS (
    SELECT event_id, runs.run_id, to_status AS status, demands, available_at, new_events.runner_id
    FROM new_events JOIN runs ON runs.seq = new_events.run_seq
    WHERE event_id > ${param('after')}::bigint
    ORDER BY event_id LIMIT ${sql.raw(String(NEWS_LIMIT))}),
  news AS (
    SELECT * FROM page
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, runner_id FROM new_signals WHERE ${param('after')}::bigint = 0)
  SELECT span.until::text, news.*, ${lastSequence} AS sequence,
    EXISTS (SELECT 1 FROM session_changes WHERE sequence IS NULL) AS unnumbered
  FROM span LEFT JOIN news ON true
  ORDER BY event_id`)

/** The end of the feed: nothing from before is told. */
export async function feedEnd(on: Connection): Promise<Position> {
  const found = await end.get(on)
  const { snapshot = '', sequence = 0 } = found ?? {}
  return { before: snapshot, until: null, after: 0, sequence }
}

export async function readFeed(on: Connection, from: Position) {
  const { before, until: begun, after } = from
  const rows = await read.all(on, { before, until: begun, after })
  const until = rows[0]?.until ?? from.before
  const events = rows.flatMap((row) => (row.event_id === null ? [] : [row]))
  const more = events.length === NEWS_LIMIT
  const signals = rows.filter(({ event_id }) => event_id === null)
  const toStop = events.filter(({ status }) => status === 'stopping')
  const { sequence = from.sequence, unnumbered = false } = rows[0] ?? {}
  const position: Position = more
    ? { before: from.before, until, after: events.at(-1)?.event_id ?? 0, sequence }
    : { before: until, until: null, after: 0, sequence }
  return {
    changed: events.map(
      ({ run_id, status, demands, available_at }): RunNews => ({
        ...{ run_id, status, demands, available_at },
      }),
    ),
    runner_ids: [...toStop, ...signals].flatMap(({ runner_id }) => runner_id ?? []),
    sessions: unnumbered || sequence > from.sequence,
    position,
    more,
  }
}
