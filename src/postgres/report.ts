/** What runners report on the runs they hold. The WHERE clause decides; what follows it only explains. */
import { eq, type SQL, sql } from '../drizzle.ts'
import { because } from '../queue/cause.ts'
import { type ReportName, refuseReport, runnerNotRegistered } from '../queue/refusals.ts'
import type { JsonValue, RunStatus, Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Completion, Failure, Report } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import { type Callbacks, concernsNobody } from './callbacks.ts'
import type { Connection, Database } from './database.ts'
import type { PgUpdateSetSource } from './drizzle.ts'
import { ended, failedAttempt } from './moves.ts'
import { explainRefusal } from './ownership.ts'
import { runners, runs } from './schema.ts'
import {
  json,
  jsonList,
  type Moved,
  movedColumns,
  orm,
  param,
  prepared,
  Statement,
  statusAmong,
} from './statements.ts'
import { Together } from './together.ts'

interface Asked extends Report {
  now: Timestamp
  session_status?: Completion['session_status']
  result?: Completion['result']
  error?: string
}

/** As the statements know it: by names that no table has. */
const askedOf = (report: Asked) => ({
  of_run: report.run_id,
  by_runner: report.runner_id,
  by_token: report.caller?.token_id,
  by_admin: report.caller?.role === 'admin',
  with_claim: report.claim_token,
  instant: report.now,
  session_word: report.session_status,
  outcome: report.result,
  reason: report.error,
})

const instant = sql.raw('held.instant')
/** The session's status follows its run, the latest where several moved. */
const follow = (changes: string) =>
  sql.raw(`
  UPDATE sessions SET updated_at = latest.instant, ${changes}
  FROM (SELECT DISTINCT ON (session_id) * FROM moved ORDER BY session_id, seq DESC) AS latest
  WHERE sessions.session_id = latest.session_id`)
/** … and the runner tells that it serves the session, by a report of a start or of an end. */
const serve = (status: string) =>
  follow(`status = ${status}, runner_id = latest.runner_id, stop_sent_at = NULL,
    parent_session_id = coalesce(latest.parent_session_id, sessions.parent_session_id)`)

interface ReportKind {
  from: readonly RunStatus[]
  set: PgUpdateSetSource<typeof runs>
  session: SQL
  /** In its guard, of what ends a run. */
  concerns: SQL
  /** The event in the session, and what it says. */
  event: [string, Record<string, JsonValue>] | null
}

const KINDS = {
  start: {
    from: TRANSITIONS.start.from,
    set: {
      ...{ status: 'running', started_at: instant, updated_at: instant },
      ...because('started', 'runner'),
    },
    concerns: sql.raw('true'),
    session: serve(`'running'`),
    event: ['run_start', {}],
  },
  // Also who served it: the report of the start may have been lost.
  complete: {
    from: TRANSITIONS.complete.from,
    // The error of an attempt before is none of this run's end.
    set: {
      ...ended('completed', because('completed', 'runner'), instant),
      ...{ error: null, result: sql`held.outcome` },
    },
    concerns: concernsNobody,
    session: serve('latest.session_word'),
    event: ['run_completed', { exit_code: 0, reason: 'completed' }],
  },
  fail: {
    from: TRANSITIONS.fail.from,
    set: failedAttempt(instant, sql.raw('held.reason')),
    concerns: concernsNobody,
    session: follow('status = latest.status'),
    event: null,
  },
  confirm_stop: {
    from: TRANSITIONS.confirm_stop.from,
    set: ended('stopped', because('stopped', 'runner'), instant),
    concerns: concernsNobody,
    session: follow('status = latest.status'),
    event: null,
  },
} satisfies Record<string, ReportKind>
type Kind = keyof typeof KINDS

/** Together they pass over what others have locked, so that nobody waits for another's sake. */
const reporting = (
  { from, set, session, event, concerns }: ReportKind,
  locked: 'SKIP LOCKED' | '',
) =>
  new Statement<Moved & { place: number }>(
    sql`
    WITH asked AS MATERIALIZED (
      SELECT * FROM ROWS FROM (json_to_recordset(${param('asked')}) AS (
        of_run text, by_runner text, by_token text, by_admin boolean, with_claim text, instant text,
        session_word text, outcome json, reason text)) WITH ORDINALITY
      -- The planner takes this for a single row, and so seeks its run, however few runs it knows of.
      WHERE of_run || '' = of_run),
    held AS MATERIALIZED (
      SELECT asked.*, runs.seq AS held_seq, sessions.seq AS session_seq FROM asked
      JOIN runs ON runs.run_id = of_run
      JOIN sessions ON sessions.session_id = runs.session_id
      WHERE runs.runner_id IS NOT DISTINCT FROM by_runner
        AND (with_claim IS NULL OR claim_token = with_claim)
        AND runs.${statusAmong(from)}
        AND refusal(by_runner, by_token, by_admin, instant) IS NULL
      FOR NO KEY UPDATE OF runs, sessions ${sql.raw(locked)}),
    moved AS ${orm
      .update(runs)
      .set(set)
      .from(sql`held`)
      .where(sql`runs.seq = held.held_seq AND ${concerns}`)
      .returning({
        ...movedColumns,
        place: sql`(held.ordinality - 1)`.as('place'),
        session_seq: sql`held.session_seq`.as('session_seq'),
        session_word: sql`held.session_word`.as('session_word'),
        instant: sql`held.instant`.as('instant'),
      })},
    followed AS (${session})
    ${event ? sql`, told AS (${tell(event)})` : sql``}
    SELECT * FROM moved`,
    { moves: true },
  )

const tell = ([type, payload]: NonNullable<ReportKind['event']>) =>
  sql.raw(`
  INSERT INTO session_events (session_seq, run_id, event_type, timestamp, payload)
  SELECT session_seq, run_id, '${type}', instant, '${JSON.stringify(payload)}' FROM moved`)

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
async function explain(on: Connection, report: Asked, name: ReportName): Promise<void> {
  const { run_id, runner_id, caller, now } = report
  await explainRefusal(on, runner_id, caller, now)
  if (!(await findRunner.get(on, { runner_id }))) throw runnerNotRegistered()
  refuseReport(name, report, await findRun.get(on, { run_id }))
}

export function createReports(database: Database, callbacks: Callbacks) {
  function lane(kind: Kind) {
    const together = reporting(KINDS[kind], 'SKIP LOCKED')
    const alone = reporting(KINDS[kind], '')
    const moved = (on: Connection, texts: string[], tells_parents: boolean) =>
      (tells_parents ? alone : together).all(on, { asked: jsonList(texts), tells_parents })
    const lane = new Together(
      (texts: string[]) =>
        database.run(async (on) => {
          // By place, not by run: of two reports on one run, one may come from who lost it.
          const changes = new Map(
            (await moved(on, texts, false)).map((run) => [run.place, changeOf(run)]),
          )
          return texts.map((_, place) => changes.get(place))
        }),
      (text) => text.length,
    )
    return async (report: Asked): Promise<RunChange[]> => {
      const text = json(askedOf(report)) ?? ''
      const change = await lane.ask(text)
      if (change) return [change]
      // It was locked, and waits now; or it concerns others, who are told; or this tells what is wrong.
      const changes = await callbacks.changing(report.now, (on) => moved(on, [text], true))
      if (changes.length === 0) await database.run((on) => explain(on, report, kind))
      return changes
    }
  }
  const start = lane('start')
  const complete = lane('complete')
  const fail = lane('fail')
  const confirmStop = lane('confirm_stop')
  return {
    start: (report: Report, now: Timestamp) => start({ ...report, now }),
    complete: (report: Completion, now: Timestamp) => complete({ ...report, now }),
    fail: (report: Failure, now: Timestamp) => fail({ ...report, now }),
    confirmStop: (report: Report, now: Timestamp) => confirmStop({ ...report, now }),
  }
}
