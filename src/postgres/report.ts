/** What runners report on the runs they hold. The WHERE clause decides; what follows it only explains. */
import { and, eq, sql } from 'drizzle-orm'
import { because } from '../queue/cause.ts'
import { QueueError } from '../queue/errors.ts'
import type { Run, RunStatus, Timestamp } from '../queue/run.ts'
import type { Completion, Failure, Report } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import { type Callbacks, concernsNobody } from './callbacks.ts'
import type { Connection, Database } from './database.ts'
import { servedEvent, sessionServed, sessionStatus } from './follow.ts'
import { ended, failedAttempt } from './moves.ts'
import { runners, runs } from './schema.ts'
import {
  json,
  movedColumns,
  moving,
  orm,
  param,
  prepared,
  runnerIs,
  statusAmong,
  textParam,
} from './statements.ts'

/** Statuses in which the report is no news: it was made before, or comes merely late. */
const NO_NEWS = {
  start: ['running', 'stopping', 'completed', 'failed', 'stopped'],
  complete: ['completed'],
  fail: ['failed'],
  confirm_stop: ['stopped'],
} as const satisfies Record<string, readonly RunStatus[]>

const heldByReporter = (from: readonly RunStatus[]) =>
  and(
    eq(runs.run_id, param('run_id')),
    runnerIs,
    sql`(${textParam('claim_token')} IS NULL OR claim_token = ${textParam('claim_token')})`,
    statusAmong(from),
  )

const start = moving(
  orm
    .update(runs)
    .set({
      status: 'running',
      started_at: param('now'),
      updated_at: param('now'),
      ...because('started', 'runner'),
    })
    .where(heldByReporter(TRANSITIONS.start.from))
    .returning(movedColumns),
  { served: sessionServed(sql`'running'`), event: servedEvent('run_start', {}) },
)
// Also who served it: the report of the start may have been lost.
const complete = moving(
  orm
    .update(runs)
    // The error of an attempt before is none of this run's end.
    .set({
      ...ended('completed', because('completed', 'runner')),
      error: null,
      result: param('result'),
    })
    .where(and(heldByReporter(TRANSITIONS.complete.from), concernsNobody))
    .returning(movedColumns),
  {
    served: sessionServed(textParam('session_status')),
    event: servedEvent('run_completed', { exit_code: 0, reason: 'completed' }),
  },
)
const fail = moving(
  orm
    .update(runs)
    .set(failedAttempt)
    .where(and(heldByReporter(TRANSITIONS.fail.from), concernsNobody))
    .returning(movedColumns),
  { followed: sessionStatus },
)
const confirmStop = moving(
  orm
    .update(runs)
    .set(ended('stopped', because('stopped', 'runner')))
    .where(and(heldByReporter(TRANSITIONS.confirm_stop.from), concernsNobody))
    .returning(movedColumns),
  { followed: sessionStatus },
)

const findRunner = prepared(
  orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id'))),
)
const findRun = prepared(
  orm
    .select({ status: runs.status, runner_id: runs.runner_id, claim_token: runs.claim_token })
    .from(runs)
    .where(eq(runs.run_id, param('run_id'))),
)

/** Why the report moved nothing: throws, or returns where it is merely no news. */
async function explain(on: Connection, report: Report, kind: keyof typeof NO_NEWS): Promise<void> {
  const { run_id, runner_id, claim_token } = report
  if (!(await findRunner.get(on, { runner_id }))) {
    throw new QueueError('runner_not_registered', 'Runner not registered')
  }
  const run = await findRun.get(on, { run_id })
  if (!run) throw new QueueError('run_not_found', 'Run not found')
  const sameToken = claim_token === null || run.claim_token === claim_token
  const retriedMeanwhile =
    kind === 'fail' && run.status === 'pending' && claim_token !== null && sameToken
  if (retriedMeanwhile) return
  if (run.runner_id !== runner_id) {
    throw new QueueError('run_not_held', `Run ${run_id} is not held by runner ${runner_id}`)
  }
  if (!sameToken) {
    throw new QueueError(
      'claim_token_mismatch',
      `Run ${run_id} was claimed again since: this claim_token is outdated`,
    )
  }
  if ((NO_NEWS[kind] as readonly RunStatus[]).includes(run.status)) return
  throw new QueueError(
    'run_wrong_status',
    `Run ${run_id} is ${run.status}: it must be ${TRANSITIONS[kind].from.join(', ')}`,
  )
}

export function createReports(database: Database, callbacks: Callbacks) {
  async function reported(kind: keyof typeof NO_NEWS, report: Report, moved: Run | undefined) {
    if (!moved) await database.run((on) => explain(on, report, kind))
  }
  const held = ({ run_id, runner_id, claim_token }: Report) => ({ run_id, runner_id, claim_token })

  return {
    async start(given: Report, now: Timestamp) {
      const values = { ...held(given), now }
      await reported('start', given, await database.run((on) => start.get(on, values)))
    },
    async complete(given: Completion, now: Timestamp) {
      const { session_status, result } = given
      const values = { ...held(given), session_status, result: json(result), now }
      await reported('complete', given, await callbacks.end(complete, values))
    },
    async fail(given: Failure, now: Timestamp) {
      const values = { ...held(given), error: given.error, now }
      await reported('fail', given, await callbacks.end(fail, values))
    },
    async confirmStop(given: Report, now: Timestamp) {
      const values = { ...held(given), now }
      await reported('confirm_stop', given, await callbacks.end(confirmStop, values))
    },
  }
}
