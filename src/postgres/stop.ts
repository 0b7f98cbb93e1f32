/** Stopping: asking for it, and telling the runner. */
import { eq, type SQL, sql } from '../drizzle.ts'
import { type Cause, clientOf } from '../queue/cause.ts'
import { runNotFound } from '../queue/refusals.ts'
import { isTerminal, type Run, type Timestamp } from '../queue/run.ts'
import { changeOf } from '../queue/run-change.ts'
import type { Claim, StopOutcome } from '../queue/run-queue.ts'
import type { Stops as TakenStops } from '../queue/runner.ts'
import type { Caller } from '../queue/token.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import { type Callbacks, concernsNobody } from './callbacks.ts'
import type { Database } from './database.ts'
import { sessionStatus } from './follow.ts'
import { asCaller, explainRefusal, refusal, refusalError } from './ownership.ts'
import { runnerColumns } from './runners.ts'
import { runners, runs, type sessions } from './schema.ts'
import {
  type Moved,
  movedColumns,
  moving,
  orm,
  param,
  prepared,
  runColumns,
  Statement,
  statusAmong,
  statusIn,
  textParam,
} from './statements.ts'

const { cancel, request_stop } = TRANSITIONS
const isCancelled = statusIn(cancel.from)
const words = (status: string) => sql.raw(`'${status}'`)

const stop = moving<Run & Moved>(
  orm
    .update(runs)
    .set({
      status: sql`CASE WHEN ${isCancelled} THEN ${words(cancel.to)} ELSE ${words(request_stop.to)} END`,
      completed_at: sql`CASE WHEN ${isCancelled} THEN ${textParam('now')} END`,
      // A pending run may wait for its time, which will not come now.
      available_at: null,
      stop_sent_at: null,
      updated_at: param('now'),
      cause: sql<Cause>`CASE WHEN ${isCancelled} THEN 'cancelled' ELSE 'stop_requested' END`,
      changed_by: param('changed_by'),
    })
    .where(
      sql`run_id = ${param('run_id')} AND ${statusAmong([...cancel.from, ...request_stop.from])}
        AND ${concernsNobody}`,
    )
    .returning({ ...runColumns, ...movedColumns }),
  { followed: sessionStatus },
)

const find = prepared(
  orm
    .select({
      ...runColumns,
      session_status: sql<typeof sessions.$inferSelect.status>`(
        SELECT status FROM sessions WHERE sessions.session_id = runs.session_id)`.as(
        'session_status',
      ),
    })
    .from(runs)
    .where(eq(runs.run_id, param('run_id'))),
)

/** Of runs that are being stopped there are few, of all of a runner's there may be many. */
const unsent = (table: 'runs' | 'sessions'): SQL => {
  const of = (column: string) => sql.raw(`${table}.${column}`)
  return sql`${of('status')} = 'stopping'
    AND ${of('runner_id')} IS NOT DISTINCT FROM ${param('runner_id')}
    AND (${of('stop_sent_at')} IS NULL OR ${of('stop_sent_at')} <= ${param('resend_before')})`
}
const take = new Statement<{ run_id: string | null; session_id: string }>(
  sql`
    WITH stopped AS (
      UPDATE runs SET stop_sent_at = ${param('now')} WHERE ${unsent('runs')}
      RETURNING run_id, session_id, seq),
    ended AS (
      UPDATE sessions SET stop_sent_at = ${param('now')} WHERE ${unsent('sessions')}
      RETURNING NULL::text AS run_id, session_id, NULL::bigint AS seq)
    SELECT run_id, session_id FROM (
      SELECT * FROM stopped UNION ALL SELECT * FROM ended) AS taken
    ORDER BY seq NULLS LAST`,
  { moves: true },
)
const hasUnsent = sql<boolean>`(EXISTS (SELECT 1 FROM runs WHERE ${unsent('runs')})
  OR EXISTS (SELECT 1 FROM sessions WHERE ${unsent('sessions')}))`
const anyUnsent = new Statement<{ any: boolean }>(sql`SELECT ${hasUnsent} AS any`)
const askRunner = prepared(
  orm
    .select({
      ...runnerColumns,
      has_stops: hasUnsent.as('has_stops'),
      refused: refusal.as('refused'),
    })
    .from(runners)
    .where(eq(runners.runner_id, param('runner_id'))),
)

export type Stops = ReturnType<typeof createStops>

export const createStops = (database: Database, callbacks: Callbacks) => ({
  async stop(run_id: string, now: Timestamp, caller?: Caller | null): Promise<StopOutcome> {
    const ended = await callbacks.end(stop, { run_id, now, changed_by: clientOf(caller) })
    if (ended) {
      const { cause: _, changed_by: __, ...run } = ended.run
      const changes = [changeOf(ended.run), ...ended.told]
      const cancelled = run.status === 'stopped'
      const session_status = cancelled ? 'stopped' : 'stopping'
      return { run, outcome: cancelled ? 'cancelled' : 'requested', session_status, changes }
    }
    const found = await database.run((on) => find.get(on, { run_id }))
    if (!found) throw runNotFound()
    const { session_status, ...unchanged } = found
    const outcome = isTerminal(unchanged.status) ? 'ended' : 'asked_before'
    return { run: unchanged, outcome, session_status, changes: [] }
  },

  /** What concerns the runner itself, before any run. */
  askRunner: (
    { runner_id, caller }: Pick<Claim, 'runner_id' | 'caller'>,
    now: Timestamp,
    resend_before: Timestamp,
  ) =>
    database.run(async (on) => {
      const asked = await askRunner.get(on, { runner_id, resend_before, now, ...asCaller(caller) })
      if (asked?.refused) throw refusalError(asked.refused, runner_id)
      if (!asked) await explainRefusal(on, runner_id, caller, now)
      return asked
    }),

  takeStops: (runner_id: string, now: Timestamp, resend_before: Timestamp): Promise<TakenStops> =>
    database.run(async (on) => {
      // A read: polls ask often, and there is seldom anything.
      const asked = await anyUnsent.get(on, { runner_id, resend_before })
      if (!asked?.any) return { run_ids: [], session_ids: [] }
      const taken = await take.all(on, { runner_id, now, resend_before })
      return {
        run_ids: taken.flatMap(({ run_id }) => run_id ?? []),
        session_ids: [...new Set(taken.map(({ session_id }) => session_id))],
      }
    }),
})
