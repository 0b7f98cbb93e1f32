/** The RunQueue on SQLite: writes go through the commit lane, reads straight to the connection. */
import { sql } from '../drizzle.ts'
import { refusedAt } from '../queue/batch-error.ts'
import { clientOf } from '../queue/cause.ts'
import { canonicalDemands } from '../queue/demands.ts'
import { NOTHING_TO_RECOVER } from '../queue/recovery.ts'
import { demandsNotPending, runNotFound } from '../queue/refusals.ts'
import type { Run, Timestamp } from '../queue/run.ts'
import type { AddBounds, Claim, RunQueue } from '../queue/run-queue.ts'
import type { Adding } from './add.ts'
import type { Callbacks } from './callbacks.ts'
import { prepareClaims } from './claim.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import { translate } from './errors.ts'
import type { Follow } from './follow.ts'
import { prepareHistory } from './history.ts'
import { prepareLists } from './list.ts'
import type { Matching } from './matching.ts'
import { later } from './moves.ts'
import type { Ownership } from './ownership.ts'
import type { PendingCount } from './pending-count.ts'
import { createPoll } from './poll.ts'
import { prepareRecovery } from './recover.ts'
import { prepareReports } from './report.ts'
import { prepareRunRate } from './run-rate.ts'
import type { Registry } from './runners.ts'
import { runs } from './schema.ts'
import { json, param, runColumns } from './statements.ts'
import type { Stops } from './stop.ts'
import type { Sweeps } from './sweep.ts'

interface Parts {
  orm: Orm
  lane: CommitLane
  pendingCount: PendingCount
  adding: Adding
  follow: Follow
  callbacks: Callbacks
  stops: Stops
  sweeps: Sweeps
  registry: Registry
  ownership: Ownership
  matching: Matching
}

export function createRunQueue(parts: Parts): RunQueue {
  const { orm, lane, pendingCount, follow, callbacks, stops, sweeps, registry } = parts
  const { ownership, matching } = parts
  const { add, retry } = parts.adding
  const claims = prepareClaims(orm)
  const poll = createPoll({ registry, stops, claims })
  const reports = prepareReports(orm, follow, callbacks)
  const recovery = prepareRecovery(orm, follow, callbacks)
  const lists = prepareLists(orm)
  const history = prepareHistory(orm)
  const takeRuns = prepareRunRate(orm)

  const setDemands = orm
    .update(runs)
    .set({
      demands: param('demands'),
      timeout_at: later(
        sql`max(${param('now')}, coalesce(available_at, ''))`,
        sql`${param('timeout_seconds')}`,
      ),
      timeout_seconds: param('timeout_seconds'),
      updated_at: param('now'),
      cause: 'demands_changed',
      changed_by: param('changed_by'),
    })
    .where(sql`run_id = ${param('run_id')} AND status = 'pending'`)
    .returning(runColumns)
    .prepare()

  /** Adds `count` runs, if the bounds let them in. */
  async function bounded<T>(
    bounds: AddBounds | undefined,
    count: number,
    now: Timestamp,
    operation: () => T,
  ): Promise<T> {
    // Apart, and before: a refusal would undo it, and each one would count all the runs again.
    if (bounds && bounds.max_pending !== null && !pendingCount.isKept()) {
      await lane.write(() => pendingCount.keep())
    }
    return await lane.write(() => {
      takeRuns(bounds?.rate, count, now)
      return operation()
    })
  }

  /** A write in the name of a runner, which must be the caller's. */
  const asRunner =
    <R extends Pick<Claim, 'runner_id' | 'caller'>, More extends unknown[], T>(
      operation: (request: R, now: Timestamp, ...more: More) => T,
    ) =>
    (request: R, now: Timestamp, ...more: More): Promise<T> =>
      lane.write(() => {
        ownership.check(request.runner_id, request.caller, now)
        return operation(request, now, ...more)
      })

  return {
    add: (run, now, bounds) => bounded(bounds, 1, now, () => add(run, now, bounds)),

    addMany: (newRuns, now, bounds) =>
      bounded(bounds, newRuns.length, now, () => {
        const matchingNow = matching.at(now, bounds?.stale_before)
        return newRuns.map((run, index) => {
          try {
            return add(run, now, bounds, matchingNow)
          } catch (error) {
            throw refusedAt(index, error, translate(error))
          }
        })
      }),

    claim: asRunner(claims.claim),
    poll: asRunner(poll),
    release: (run_id, token, now) => lane.write(() => claims.release(run_id, token, now)),

    start: asRunner(reports.start),
    complete: asRunner(reports.complete),
    fail: asRunner(reports.fail),
    confirmStop: asRunner(reports.confirmStop),

    stop: (run_id, now, caller) => lane.write(() => stops.stop(run_id, now, caller)),
    async takeStops(runner_id, now, resendBefore) {
      if (!stops.hasStops(runner_id, resendBefore)) return { run_ids: [], session_ids: [] }
      return await lane.write(() => stops.takeStops(runner_id, now, resendBefore))
    },

    retry: (run_id, new_run_id, now, bounds) =>
      bounded(bounds, 1, now, () => retry(run_id, new_run_id, now, bounds)),

    setDemands: (run_id, wanted, timeout_seconds, now, caller) =>
      lane.write((): Run => {
        const demands = canonicalDemands(wanted)
        const run = setDemands.get({
          run_id,
          demands: json(demands),
          timeout_seconds: demands === null ? null : timeout_seconds,
          now,
          changed_by: clientOf(caller),
        })
        if (run) return run
        const found = lists.get(run_id)
        if (!found) throw runNotFound()
        throw demandsNotPending(run_id, found.status)
      }),

    get: async (run_id) => lists.get(run_id),
    traceparent: async (run_id) => lists.traceparent(run_id),
    pending: async (limit) => lists.pending(limit),
    active: async (limit) => lists.active(limit),
    activeOfSession: async (session_id) => lists.activeOfSession(session_id),
    list: async (filter) => lists.list(filter),
    events: async (run_id, filter) => history.ofRun(run_id, filter),

    async recover(mode, options, now) {
      if (mode === 'none') return NOTHING_TO_RECOVER
      if (options.dryRun) return recovery.countAbandoned(mode, options, now)
      return await lane.write(() => recovery.recoverBatch(mode, options, now))
    },

    makeAvailable: (now, limit) => lane.write(() => sweeps.makeAvailable(now, limit)),
    nextAvailableAt: async () => sweeps.nextAvailableAt(),
    failTimedOut: (now, limit) => lane.write(() => sweeps.failTimedOut(now, limit)),
    releaseUnstarted: (before: Timestamp, now, limit) =>
      lane.write(() => sweeps.releaseUnstarted(before, now, limit)),
    settleUnconfirmedStops: (before: Timestamp, now, limit) =>
      lane.write(() => sweeps.settleUnconfirmedStops(before, now, limit)),

    async deliverCallbacks(after, now, limit) {
      const { due, next } = callbacks.look(after, limit)
      if (due.length === 0) return { changes: [], next }
      const changes = await lane.write(() =>
        due.flatMap((session_id) => callbacks.deliverTo(session_id, now)),
      )
      return { changes, next }
    },
  }
}
