/** Recovery at start, in bounded passes: each pass changes at most one batch of each kind. */
import { type SQL, sql } from '../drizzle.ts'
import { because } from '../queue/cause.ts'
import {
  ERRORS,
  NOTHING_TO_RECOVER,
  RECOVERY_BATCH,
  type RecoveryMode,
  type RecoveryPass,
} from '../queue/recovery.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf } from '../queue/run-change.ts'
import type { RecoverOptions } from '../queue/run-queue.ts'
import { addSeconds } from '../queue/time.ts'
import type { Callbacks } from './callbacks.ts'
import type { Connection, Database } from './database.ts'
import { sessionStatus } from './follow.ts'
import { ended, lostAttempt, released } from './moves.ts'
import { runs } from './schema.ts'
import { movedColumns, moving, orm, param, prepared, seqAmong } from './statements.ts'

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

const batch = (guard: SQL) =>
  seqAmong(sql`
    SELECT seq FROM runs WHERE ${guard} ORDER BY created_at, seq
    LIMIT ${sql.raw(String(RECOVERY_BATCH))} FOR UPDATE OF runs SKIP LOCKED`)
const count = (guard: SQL) =>
  prepared(
    orm
      .select({ count: sql<number>`count(*)`.as('count') })
      .from(runs)
      .where(guard),
  )

const statementsOf = (guards: (typeof GUARDS)['stale']) => ({
  release: moving(
    orm.update(runs).set(released(reason)).where(batch(guards.released)).returning(movedColumns),
  ),
  fail: moving(
    orm.update(runs).set(lostAttempt(reason)).where(batch(guards.failed)).returning(movedColumns),
    { followed: sessionStatus },
  ),
  stop: moving(
    orm
      .update(runs)
      .set(ended('stopped', reason))
      .where(batch(guards.stopped))
      .returning(movedColumns),
    { followed: sessionStatus },
  ),
  count: {
    released: count(guards.released),
    failed: count(guards.failed),
    stopped: count(guards.stopped),
  },
})
const STATEMENTS = { stale: statementsOf(GUARDS.stale), all: statementsOf(GUARDS.all) }

type Values = Record<string, unknown>

async function recoverBatch(
  on: Connection,
  callbacks: Callbacks,
  mode: 'stale' | 'all',
  given: Values & { now: Timestamp },
): Promise<RecoveryPass> {
  const { release, fail, stop } = STATEMENTS[mode]
  const released = await release.all(on, given)
  const failed = await fail.all(on, given)
  const stopped = await stop.all(on, given)
  const told = await callbacks.deliver(on, [...failed, ...stopped], given.now)
  const counts = { released: released.length, failed: failed.length, stopped: stopped.length }
  return {
    ...counts,
    changes: [...[...released, ...failed, ...stopped].map(changeOf), ...told],
    more: Math.max(...Object.values(counts)) === RECOVERY_BATCH,
  }
}

async function countAbandoned(
  on: Connection,
  mode: 'stale' | 'all',
  given: Values,
): Promise<RecoveryPass> {
  const { released, failed, stopped } = STATEMENTS[mode].count
  return {
    released: (await released.get(on, given))?.count ?? 0,
    failed: (await failed.get(on, given))?.count ?? 0,
    stopped: (await stopped.get(on, given))?.count ?? 0,
    changes: [],
    more: false,
  }
}

export const createRecovery = (database: Database, callbacks: Callbacks) =>
  async function recover(
    mode: RecoveryMode,
    options: RecoverOptions,
    now: Timestamp,
  ): Promise<RecoveryPass> {
    if (mode === 'none') return NOTHING_TO_RECOVER
    const given = {
      now,
      before: addSeconds(now, -options.thresholdSeconds),
      alive_since: options.aliveSince,
      error: mode === 'stale' ? ERRORS.restartedStale : ERRORS.restartedAll,
    }
    if (options.dryRun) return await database.run((on) => countAbandoned(on, mode, given))
    return await database.transaction((on) => recoverBatch(on, callbacks, mode, given))
  }
