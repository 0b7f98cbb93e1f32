/** What runners report on the runs they hold. The WHERE clause decides; what follows it only explains. */
import { and, eq, sql } from '../drizzle.ts'
import type { Changed } from '../queue/callback.ts'
import { because } from '../queue/cause.ts'
import { type ReportName, refuseReport, runnerNotRegistered } from '../queue/refusals.ts'
import type { RunStatus, Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Completion, Failure, Report } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import { type Callbacks, concernsCallbacks } from './callbacks.ts'
import type { Orm } from './database.ts'
import type { Follow } from './follow.ts'
import { ended, failedAttempt } from './moves.ts'
import { runners, runs } from './schema.ts'
import { json, movedColumns, param, statusOneOf } from './statements.ts'

export function prepareReports(orm: Orm, follow: Follow, callbacks: Callbacks) {
  const heldByReporter = (from: readonly RunStatus[]) =>
    and(
      eq(runs.run_id, param('run_id')),
      eq(runs.runner_id, param('runner_id')),
      sql`(${param('claim_token')} IS NULL OR claim_token = ${param('claim_token')})`,
      statusOneOf(from),
    )
  const movedToEnd = { ...movedColumns, concerns_callbacks: concernsCallbacks }

  const start = orm
    .update(runs)
    .set({
      status: 'running',
      started_at: param('now'),
      updated_at: param('now'),
      ...because('started', 'runner'),
    })
    .where(heldByReporter(TRANSITIONS.start.from))
    .returning(movedColumns)
    .prepare()
  const complete = orm
    .update(runs)
    // The error of an attempt before is none of this run's end.
    .set({
      ...ended('completed', because('completed', 'runner')),
      error: null,
      result: param('result'),
    })
    .where(heldByReporter(TRANSITIONS.complete.from))
    .returning(movedToEnd)
    .prepare()
  const fail = orm
    .update(runs)
    .set(failedAttempt)
    .where(heldByReporter(TRANSITIONS.fail.from))
    .returning(movedToEnd)
    .prepare()
  const confirmStop = orm
    .update(runs)
    .set(ended('stopped', because('stopped', 'runner')))
    .where(heldByReporter(TRANSITIONS.confirm_stop.from))
    .returning(movedToEnd)
    .prepare()

  const findRunner = orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id')))
    .prepare()
  const findRun = orm
    .select({ status: runs.status, runner_id: runs.runner_id, claim_token: runs.claim_token })
    .from(runs)
    .where(eq(runs.run_id, param('run_id')))
    .prepare()

  /** When the session has followed, parents hear of it. @returns all that changed */
  function tellParents(
    run: Changed & RunChange & { concerns_callbacks: number },
    now: Timestamp,
  ): RunChange[] {
    const told = run.concerns_callbacks ? callbacks.deliver([run], now) : []
    return [changeOf(run), ...told]
  }

  /** Why the report moved nothing: throws, or returns where it is merely no news. */
  function explain(report: Report, name: ReportName): void {
    const { run_id, runner_id } = report
    if (!findRunner.get({ runner_id })) throw runnerNotRegistered()
    refuseReport(name, report, findRun.get({ run_id }))
  }

  return {
    start(report: Report, now: Timestamp): RunChange[] {
      const run = start.get({ now, ...report })
      if (!run) {
        explain(report, 'start')
        return []
      }
      follow.setServed(run, report.runner_id, 'running', now)
      follow.addEvent({
        session_id: run.session_id,
        run_id: report.run_id,
        event_type: 'run_start',
        timestamp: now,
        payload: {},
      })
      return [changeOf(run)]
    },

    complete(completion: Completion, now: Timestamp): RunChange[] {
      const { run_id, runner_id, session_status } = completion
      const run = complete.get({ now, ...completion, result: json(completion.result) })
      if (!run) {
        explain(completion, 'complete')
        return []
      }
      // Also who served it: the report of the start may have been lost.
      follow.setServed(run, runner_id, session_status, now)
      follow.addEvent({
        session_id: run.session_id,
        run_id,
        event_type: 'run_completed',
        timestamp: now,
        payload: { exit_code: 0, reason: 'completed' },
      })
      return tellParents(run, now)
    },

    fail(failure: Failure, now: Timestamp): RunChange[] {
      const run = fail.get({ now, ...failure })
      if (!run) {
        explain(failure, 'fail')
        return []
      }
      follow.setStatus(run.session_id, run.status === 'pending' ? 'pending' : 'failed', now)
      return tellParents(run, now)
    },

    confirmStop(report: Report, now: Timestamp): RunChange[] {
      const run = confirmStop.get({ now, ...report })
      if (!run) {
        explain(report, 'confirm_stop')
        return []
      }
      follow.setStatus(run.session_id, 'stopped', now)
      return tellParents(run, now)
    },
  }
}
