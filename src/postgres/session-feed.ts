/**
 * What changes in sessions: written by triggers from when somebody first asks.
 *
 * Ids are given before the commit, but clients are told a number that says in which order all came.
 * So whoever reads first numbers what was committed, one after the other: then no lower number
 * becomes visible after a higher one.
 */
import { sql } from 'drizzle-orm'
import { QueueError } from '../queue/errors.ts'
import type { Feed } from '../queue/feed.ts'
import type { JsonValue } from '../queue/run.ts'
import {
  CHANGES_BYTES,
  CHANGES_LIMIT,
  type SessionChange,
  type StoredChange,
  sessionChange,
} from '../queue/session-change.ts'
import type { Connection, Database } from './database.ts'
import { sessionChanges } from './schema.ts'
import { param, preparedChange, Statement } from './statements.ts'

/** Any number that nothing else locks. */
const NUMBERING_LOCK = 7_311_002
const NUMBERING_LIMIT = 500

const isKept = new Statement<{ kept: boolean }>(
  sql`SELECT EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes') AS kept`,
)
// Whoever changes sessions waits meanwhile: what is changed just now would be told by nobody.
const lockSessions = preparedChange(
  sql`LOCK TABLE sessions, session_events, runs IN SHARE ROW EXCLUSIVE MODE`,
)
const keep = preparedChange(sql`
  INSERT INTO counters (name, shard, value) VALUES ('session_changes', 0, 1) ON CONFLICT DO NOTHING`)

const lockNumbering = preparedChange(
  sql`SELECT pg_advisory_xact_lock(${sql.raw(String(NUMBERING_LOCK))})`,
)
const number = preparedChange(sql`
  WITH unnumbered AS MATERIALIZED (
    SELECT change_id FROM ${sessionChanges} WHERE sequence IS NULL
    ORDER BY change_id LIMIT ${sql.raw(String(NUMBERING_LIMIT))}),
  numbered AS MATERIALIZED (
    SELECT change_id, nextval('session_changes_sequence') AS sequence FROM unnumbered)
  UPDATE session_changes SET sequence = numbered.sequence
  FROM numbered WHERE session_changes.change_id = numbered.change_id`)
const last = new Statement<{ sequence: number }>(
  sql`SELECT coalesce(pg_sequence_last_value('session_changes_sequence'), 0) AS sequence`,
)

interface Row extends Omit<StoredChange, 'event'> {
  id: number | null
  event_type: string
  timestamp: string
  payload: Record<string, JsonValue>
}

const read = new Statement<Row>(sql`
  SELECT * FROM (
    SELECT changes.sequence, changes.at, changes.kind, changes.session_id, changes.data,
      event.id, event.event_type, event.timestamp, event.payload,
      coalesce(octet_length(event.payload::text), 0) AS size,
      sum(coalesce(octet_length(event.payload::text), 0)) OVER (ORDER BY changes.sequence) AS total
    FROM (
      SELECT * FROM session_changes
      WHERE sequence > ${param('after')} AND sequence <= ${param('until')}
      ORDER BY sequence LIMIT ${sql.raw(String(CHANGES_LIMIT))}) AS changes
    LEFT JOIN session_events AS event ON event.id = changes.event_id) AS sized
  WHERE total - size < ${sql.raw(String(CHANGES_BYTES))}
  ORDER BY sequence`)

const unknownPlace = () =>
  new QueueError('unknown_event_id', 'The id is of no change that was told here; 0 is before all')

function placeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw unknownPlace()
  return Number(text)
}

/** @returns the last number, up to which all are visible to who asks next */
async function numberAll(database: Database): Promise<number> {
  for (;;) {
    const [numbered, sequence] = await database.transaction(async (on) => {
      await lockNumbering.run(on)
      const count = await number.run(on)
      return [count, (await last.get(on))?.sequence ?? 0]
    })
    if (numbered < NUMBERING_LIMIT) return sequence
  }
}

async function rowsOf(on: Connection, after: number, until: number): Promise<StoredChange[]> {
  const rows = await read.all(on, { after, until })
  return rows.map(({ id, event_type, timestamp, payload, ...change }) => ({
    ...change,
    event: id === null ? null : { id, event_type, timestamp, payload },
  }))
}

export function createSessionFeed(database: Database): Feed<SessionChange> {
  return {
    async end() {
      if (!(await database.run(async (on) => (await isKept.get(on))?.kept))) {
        await database.transaction(async (on) => {
          await lockSessions.run(on)
          await keep.run(on)
        })
      }
      return String(await numberAll(database))
    },

    async read(from, until) {
      const after = placeOf(from)
      const to = until === undefined ? await numberAll(database) : placeOf(until)
      if (after > to) throw unknownPlace()
      const rows = await database.run((on) => rowsOf(on, after, to))
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
