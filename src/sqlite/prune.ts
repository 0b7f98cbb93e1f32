/**
 * Retention: finished runs from before go, a bounded piece in each call.
 *
 * Each call walks on in idx_runs_status_created from where the one before ended. Retention counts
 * from completed_at, but created_at <= completed_at, so what is looked for lies where
 * created_at < before: younger runs are not looked at. (A clock that stepped back in between may make
 * a run's created_at the later one; it then goes that much later.)
 */
import { sql } from '../drizzle.ts'
import { parsePlace, placeText, START } from '../queue/prune-place.ts'
import { TERMINAL_STATUSES } from '../queue/run.ts'
import { AT_HAND_STATUSES } from '../queue/session.ts'
import type { Pruned, PruneOptions } from '../queue/storage.ts'
import type { Orm } from './database.ts'
import { runs, sessions } from './schema.ts'
import { atMost, param, statusIn } from './statements.ts'

export function preparePrune(orm: Orm) {
  const place = sql`(created_at, seq)`
  const after = sql`(${param('after_created_at')}, ${param('after_seq')})`
  const end = sql`(${param('end_created_at')}, ${param('end_seq')})`

  const lastOfPiece = orm
    .select({ created_at: runs.created_at, seq: runs.seq })
    .from(runs)
    .where(
      sql`status = ${param('status')} AND ${place} > ${after} AND created_at < ${param('before')}`,
    )
    .orderBy(sql`created_at, seq`)
    .limit(atMost(1))
    .offset(sql.placeholder('limit_less_one'))
    .prepare()

  // The first bound on created_at says nothing new, but SQLite seeks by one comparison of pairs only.
  const inPiece = sql`runs.status = ${param('status')}
    AND runs.created_at <= ${param('end_created_at')}
    AND (runs.created_at, runs.seq) > ${after} AND (runs.created_at, runs.seq) <= ${end}
    AND runs.completed_at < ${param('before')}`
  const isAtHand = sql`EXISTS (
    SELECT 1 FROM sessions
    WHERE sessions.session_id = runs.session_id AND ${statusIn(AT_HAND_STATUSES)})`
  const isNewest = sql`NOT EXISTS (
    SELECT 1 FROM runs AS newer
    WHERE newer.session_id = runs.session_id
      AND (newer.created_at, newer.seq) > (runs.created_at, runs.seq))`
  const isDue = sql`${inPiece} AND NOT (${isNewest} AND ${isAtHand})`

  const deleteRuns = orm
    .delete(runs)
    .where(sql`seq IN (SELECT seq FROM runs INDEXED BY idx_runs_status_created WHERE ${isDue})`)
    .returning({ session_id: runs.session_id })
    .prepare()

  const deleteSessions = orm
    .delete(sessions)
    .where(
      sql`session_id IN (SELECT value FROM json_each(${param('session_ids')}))
        AND NOT ${statusIn(AT_HAND_STATUSES)}
        AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.session_id = sessions.session_id)`,
    )
    .prepare()

  // A session goes with the newest of its runs, if all of them are due.
  const count = orm
    .select({
      runs: sql<number>`count(*)`,
      sessions: sql<number>`count(*) FILTER (WHERE ${isNewest} AND NOT EXISTS (
        SELECT 1 FROM runs AS other
        WHERE other.session_id = runs.session_id
          AND (other.completed_at IS NULL OR other.completed_at >= ${param('before')})))`,
    })
    .from(runs)
    .where(isDue)
    .prepare()

  return {
    /** In one transaction. */
    prune({ before, limit, after, dryRun = false }: PruneOptions): Pruned {
      const pruned = { runs: 0, sessions: 0 }
      const from = parsePlace(after)
      for (let stage = from.stage; stage < TERMINAL_STATUSES.length; stage++) {
        const { created_at, seq } = stage === from.stage ? from : START
        const given = { status: TERMINAL_STATUSES[stage], before }
        const began = { ...given, after_created_at: created_at, after_seq: seq }
        const last = lastOfPiece.get({ ...began, limit_less_one: limit - 1 })
        const until = last ?? { created_at: before, seq: 0 }
        const piece = { ...began, end_created_at: until.created_at, end_seq: until.seq }
        if (dryRun) {
          const due = count.get(piece)
          pruned.runs += due?.runs ?? 0
          pruned.sessions += due?.sessions ?? 0
        } else {
          const deleted = deleteRuns.all(piece)
          const session_ids = [...new Set(deleted.map(({ session_id }) => session_id))]
          pruned.runs += deleted.length
          if (session_ids.length > 0) {
            const values = { session_ids: JSON.stringify(session_ids) }
            pruned.sessions += deleteSessions.run(values).changes
          }
        }
        if (last) return { ...pruned, next: placeText({ stage, ...last }) }
      }
      return { ...pruned, next: null }
    },
  }
}
