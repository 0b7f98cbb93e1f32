/** Recovery at start, in bounded passes: each pass changes at most one batch of each kind. */
import { type SQL, sql } from '../drizzle.ts'
import { because } from '../queue/cause.ts'
import { ERRORS, RECOVERY_BATCH, type RecoveryMode, type RecoveryPass } from '../queue/recovery.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf } from '../queue/run-change.ts'
import type { RecoverOptions } from '../queue/run-queue.ts'
import { addSeconds } from '../queue/time.ts'
import type { Callbacks } from './callbacks.ts'
import type { Orm } from './database.ts'
import type { Follow } from './follow.ts'
import { ended, lostAttempt, released } from './moves.ts'
import { runs } from './schema.ts'
import { atMost, movedColumns, param } from './statements.ts'

const reason = because('recovered', 'service')

/** Taken for abandoned: since before the threshold, and its runner gives no sign of life. */
const abandoned = (since: 'claimed_at' | 'started_at' | null) => sql`
  NOT EXISTS (
    SELECT 1 FROM runners
    WHERE runners.runner_id = runs.runner_id AND last_heartbeat > ${param('alive_since')})
  ${since === null ? sql`` : sql`AND (${sql.raw(since)} IS NULL OR ${sql.raw(since)} <= ${param('before')})`}`

const GUARDS = {
  stale: {
    released: sql`status = 'claimed' AND ${abandoned('claimed_at')}`,
    failed: sql`status = 'running' AND ${abandoned('started_at')}`,
    stopped: sql`status = 'stopping' AND ${abandoned(null)}`,
  },
  all: {
    released: sql`status = 'claimed'`,
    failed: sql`status = 'running'`,
    stopped: sql`status = 'stopping'`,
  },
}

export function prepareRecovery(orm: Orm, follow: Follow, callbacks: Callbacks) {
  const batch = (guard: SQL) =>
    sql`seq IN (SELECT seq FROM runs WHERE ${guard} ORDER BY created_at LIMIT ${atMost(RECOVERY_BATCH)})`
  const count = (guard: SQL) =>
    orm.select({ count: sql<number>`count(*)` }).from(runs).where(guard).prepare()

  const prepared = (guards: (typeof GUARDS)['stale']) => ({
    release: orm
      .update(runs)
      .set(released(reason))
      .where(batch(guards.released))
      .returning(movedColumns)
      .prepare(),
    fail: orm
      .update(runs)
      .set(lostAttempt(reason))
      .where(batch(guards.failed))
      .returning(movedColumns)
      .prepare(),
    stop: orm
      .update(runs)
      .set(ended('stopped', reason))
      .where(batch(guards.stopped))
      .returning(movedColumns)
      .prepare(),
    count: {
      released: count(guards.released),
      failed: count(guards.failed),
      stopped: count(guards.stopped),
    },
  })
  const statements = { stale: prepared(GUARDS.stale), all: prepared(GUARDS.all) }

  const values = (mode: 'stale' | 'all', options: RecoverOptions, now: Timestamp) => ({
    now,
    before: addSeconds(now, -options.thresholdSeconds),
    alive_since: options.aliveSince,
    error: mode === 'stale' ? ERRORS.restartedStale : ERRORS.restartedAll,
  })

  return {
    recoverBatch(
      mode: Exclude<RecoveryMode, 'none'>,
      options: RecoverOptions,
      now: Timestamp,
    ): RecoveryPass {
      const { release, fail, stop } = statements[mode]
      const given = values(mode, options, now)
      const releasedRuns = release.all(given)
      const failedRuns = fail.all(given)
      const stoppedRuns = stop.all(given)
      const changed = [...failedRuns, ...stoppedRuns]
      for (const { session_id, status } of changed) {
        follow.setStatus(session_id, status as 'pending' | 'failed' | 'stopped', now)
      }
      const told = callbacks.deliver(changed, now)
      const counts = {
        released: releasedRuns.length,
        failed: failedRuns.length,
        stopped: stoppedRuns.length,
      }
      return {
        ...counts,
        changes: [...[...releasedRuns, ...changed].map(changeOf), ...told],
        more: Math.max(...Object.values(counts)) === RECOVERY_BATCH,
      }
    },

    countAbandoned(
      mode: Exclude<RecoveryMode, 'none'>,
      options: RecoverOptions,
      now: Timestamp,
    ): RecoveryPass {
      const { released, failed, stopped } = statements[mode].count
      const given = values(mode, options, now)
      return {
        released: released.get(given)?.count ?? 0,
        failed: failed.get(given)?.count ?? 0,
        stopped: stopped.get(given)?.count ?? 0,
        changes: [],
        more: false,
      }
    },
  }
}
