/**
 * Retention: finished runs from before go, a bounded piece in each call.
 *
 * Each call walks on in idx_runs_status_created from where the one before ended. Retention counts
 * from completed_at, but created_at <= completed_at, so what is looked for lies where
 * created_at < before: younger runs are not looked at.
 */
import { sql } from '../drizzle.ts'
import { parsePlace, placeText, START } from '../queue/prune-place.ts'
import { TERMINAL_STATUSES } from '../queue/run.ts'
import { AT_HAND_STATUSES } from '../queue/session.ts'
import type { Pruned, PruneOptions } from '../queue/storage.ts'
import type { Connection } from './database.ts'
import { param, preparedChange, Statement, statusIn, textParam } from './statements.ts'

interface Place {
  created_at: string
  seq: number
}

const status = textParam('status')
const before = textParam('before')
const after = sql`(${textParam('after_created_at')}, ${param('after_seq')}::bigint)`

const lastOfPiece = new Statement<Place>(sql`
  SELECT created_at, seq FROM runs
  WHERE status = ${status} AND (created_at, seq) > ${after} AND created_at < ${before}
  ORDER BY created_at, seq LIMIT 1 OFFSET ${param('limit_less_one')}`)

// Not EXISTS: PostgreSQL would rather look at all sessions once than at one for each run.
const isAtHand = sql`(
  SELECT ${statusIn(AT_HAND_STATUSES)} FROM sessions WHERE sessions.session_id = runs.session_id)`
const isNewest = sql`NOT EXISTS (
  SELECT 1 FROM runs AS newer
  WHERE newer.session_id = runs.session_id
    AND (newer.created_at, newer.seq) > (runs.created_at, runs.seq))`
const isDue = sql`runs.status = ${status}
  AND (runs.created_at, runs.seq) > ${after}
  AND (runs.created_at, runs.seq) <= (${textParam('end_created_at')}, ${param('end_seq')}::bigint)
  AND runs.completed_at < ${before}
  AND NOT (${isNewest} AND ${isAtHand})`

const deleteRuns = new Statement<{ session_id: string }>(sql`
  DELETE FROM runs
  WHERE seq = ANY(ARRAY(SELECT seq FROM runs WHERE ${isDue} FOR UPDATE OF runs SKIP LOCKED))
  RETURNING session_id`)

const deleteSessions = preparedChange(sql`
  DELETE FROM sessions
  WHERE session_id = ANY(${param('session_ids')}::text[])
    AND NOT ${statusIn(AT_HAND_STATUSES)}
    AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.session_id = sessions.session_id)`)

// A session goes with the newest of its runs, if all of them are due.
const count = new Statement<{ runs: number; sessions: number }>(sql`
  SELECT count(*) AS runs, count(*) FILTER (WHERE ${isNewest} AND NOT EXISTS (
    SELECT 1 FROM runs AS other
    WHERE other.session_id = runs.session_id
      AND (other.completed_at IS NULL OR other.completed_at >= ${before}))) AS sessions
  FROM runs WHERE ${isDue}`)

/** In one transaction. */
export async function prune(on: Connection, options: PruneOptions): Promise<Pruned> {
  const { limit, dryRun = false } = options
  const pruned = { runs: 0, sessions: 0 }
  const from = parsePlace(options.after)
  for (let stage = from.stage; stage < TERMINAL_STATUSES.length; stage++) {
    const { created_at, seq } = stage === from.stage ? from : START
    const given = { status: TERMINAL_STATUSES[stage], before: options.before }
    const began = { ...given, after_created_at: created_at, after_seq: seq }
    const last = await lastOfPiece.get(on, { ...began, limit_less_one: limit - 1 })
    const until = last ?? { created_at: options.before, seq: 0 }
    const piece = { ...began, end_created_at: until.created_at, end_seq: until.seq }
    if (dryRun) {
      const due = await count.get(on, piece)
      pruned.runs += due?.runs ?? 0
      pruned.sessions += due?.sessions ?? 0
    } else {
      const deleted = await deleteRuns.all(on, piece)
      const session_ids = [...new Set(deleted.map(({ session_id }) => session_id))]
      pruned.runs += deleted.length
      if (session_ids.length > 0) pruned.sessions += await deleteSessions.run(on, { session_ids })
    }
    if (last) return { ...pruned, next: placeText({ stage, ...last }) }
  }
  return { ...pruned, next: null }
}
