/**
 * What changes in sessions: written by triggers as long as somebody follows it.
 *
 * Ids are given before the commit, but clients are told a number that says in which order all came.
 * So whoever reads first numbers what was committed, one after the other: then no lower number
 * becomes visible after a higher one.
 */
import { sql } from '../drizzle.ts'
import { unknownEventId } from '../queue/refusals.ts'
import type { JsonValue, Timestamp } from '../queue/run.ts'
import {
  CHANGES_BYTES,
  CHANGES_LIMIT,
  RENEW_SECONDS,
  RESUMED,
  type SessionFeed,
  type StoredChange,
  sessionChange,
} from '../queue/session-change.ts'
import type { Connection, Database } from './database.ts'
import { sessionChanges } from './schema.ts'
import { param, preparedChange, Statement } from './statements.ts'

/** Any number that nothing else locks. */
const NUMBERING_LOCK = 7_311_002
const NUMBERING_LIMIT = 500

// In the row of `counters` for which the triggers look stands when somebody last followed, in ms.
const isKept = sql.raw(`name = 'session_changes' AND shard = 0`)
const followed = new Statement<{ at: number }>(
  sql`SELECT value AS at FROM counters WHERE ${isKept}`,
)
// Whoever changes sessions waits meanwhile: what is changed just now would be told by nobody.
const lockSessions = preparedChange(
  sql`LOCK TABLE sessions, session_events, runs IN SHARE ROW EXCLUSIVE MODE`,
)
const begin = preparedChange(sql`
  INSERT INTO counters (name, shard, value) VALUES ('session_changes', 0, ${param('at')})
  ON CONFLICT DO NOTHING`)
const mark = preparedChange(sql`
  INSERT INTO session_changes (at, kind, session_id)
  VALUES (${param('now')}, ${sql.raw(`'${RESUMED}'`)}, '')`)
const renew = preparedChange(sql`
  UPDATE counters SET value = ${param('at')} WHERE ${isKept} AND value < ${param('at')}`)
const rest = preparedChange(sql`
  DELETE FROM counters WHERE ${isKept} AND value <= ${param('since')}`)
const findGap = new Statement<{ gap: boolean }>(sql`
  SELECT coalesce((SELECT min(sequence) FROM session_changes) > ${param('after')}::bigint + 1, false)
    OR EXISTS (
      SELECT 1 FROM session_changes
      WHERE sequence > ${param('after')}::bigint AND kind = ${sql.raw(`'${RESUMED}'`)}) AS gap`)

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

function placeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw unknownEventId()
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

export function createSessionFeed(database: Database): SessionFeed {
  const followedAt = async () => (await database.run((on) => followed.get(on)))?.at

  async function keep(now: Timestamp): Promise<void> {
    const at = Date.parse(now)
    const before = await followedAt()
    if (before === undefined) {
      await database.transaction(async (on) => {
        await lockSessions.run(on)
        if ((await begin.run(on, { at })) > 0) await mark.run(on, { now })
      })
    } else if (before <= at - RENEW_SECONDS * 1000) {
      const renewed = await database.run((on) => renew.run(on, { at }))
      // It ended meanwhile, and begins anew; or another was first.
      if (renewed === 0 && (await followedAt()) === undefined) await keep(now)
    }
  }

  return {
    end: async () => String(await numberAll(database)),

    keep,

    async isWhole(place) {
      const after = placeOf(place)
      if (after === 0) return true
      await numberAll(database)
      return !(await database.run((on) => findGap.get(on, { after })))?.gap
    },

    async rest(unusedSince) {
      const since = Date.parse(unusedSince)
      const at = await followedAt()
      // A look, since mostly there is nothing to end.
      if (at === undefined || at > since) return false
      return (await database.run((on) => rest.run(on, { since }))) > 0
    },

    async read(from, until) {
      const after = placeOf(from)
      const to = until === undefined ? await numberAll(database) : placeOf(until)
      if (after > to) throw unknownEventId()
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
