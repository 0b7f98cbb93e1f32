/** Adding runs: the session, the inheritance, the idempotency key and the run, all in one operation. */
import { desc, eq, sql } from '../drizzle.ts'
import { type ChangedBy, clientOf } from '../queue/cause.ts'
import { newRow, resuming, timeoutSeconds } from '../queue/new-row.ts'
import {
  idempotencyConflict,
  refuseParent,
  refuseRetry,
  refuseWhenFull,
  runNotFound,
  sessionExists,
  sessionNotFound,
} from '../queue/refusals.ts'
import {
  ACTIVE_STATUSES,
  type AddedRun,
  type JsonObject,
  type NewRun,
  type Run,
  type Timestamp,
} from '../queue/run.ts'
import { type AddBounds, PARENT_DEPTH_LIMIT } from '../queue/run-queue.ts'
import type { Orm } from './database.ts'
import type { Matching, MatchingNow } from './matching.ts'
import type { PendingCount } from './pending-count.ts'
import { runs, sessions } from './schema.ts'
import { atMost, json, param, runColumns, sessionColumns, statusIn } from './statements.ts'

interface Parts {
  pendingCount: PendingCount
  matching: Matching
  /** What runs wait for a match that the service adds itself. */
  matchTimeoutSeconds: number
}

type Continuation = Required<Pick<NewRun, 'run_id' | 'session_id' | 'traceparent'>> & {
  prompt: string
}

export type Adding = ReturnType<typeof prepareAdd>

export function prepareAdd(orm: Orm, { pendingCount, matching, matchTimeoutSeconds }: Parts) {
  const findSession = orm
    .select({ ...sessionColumns, executor_type: sessions.executor_type })
    .from(sessions)
    .where(eq(sessions.session_id, param('session_id')))
    .prepare()

  const findByIdempotencyKey = orm
    .select({ run: runColumns, fingerprint: runs.idempotency_fingerprint })
    .from(runs)
    .where(eq(runs.idempotency_key, param('key')))
    .prepare()

  const findScope = orm
    .select({ scope: runs.scope })
    .from(runs)
    .where(eq(runs.session_id, param('session_id')))
    .orderBy(desc(runs.created_at), desc(runs.seq))
    .limit(atMost(1))
    .prepare()

  // UNION drops what was met before, so that a circle ends; so does the limit.
  const countAncestors = orm
    .select({ count: sql<number>`count(*)` })
    .from(sql`(
      WITH RECURSIVE ancestors(session_id) AS (
        SELECT session_id FROM ${sessions} WHERE session_id = ${param('session_id')}
        UNION
        SELECT parent.session_id
        FROM ancestors
        JOIN sessions AS child ON child.session_id = ancestors.session_id
        JOIN sessions AS parent ON parent.session_id = child.parent_session_id
        LIMIT ${sql.raw(String(PARENT_DEPTH_LIMIT + 1))})
      SELECT session_id FROM ancestors)`)
    .prepare()

  const insertSession = orm
    .insert(sessions)
    .values({
      session_id: param('session_id'),
      status: 'pending',
      created_at: param('now'),
      project_dir: param('project_dir'),
      agent_name: param('agent_name'),
      parent_session_id: param('parent_session_id'),
      updated_at: param('now'),
    })
    .onConflictDoNothing({ target: sessions.session_id })
    .prepare()

  // A session that ended waits again; one whose run is at hand goes on with that.
  const awaitResume = orm
    .update(sessions)
    .set({ status: 'pending', last_resumed_at: param('now'), updated_at: param('now') })
    .where(
      sql`session_id = ${param('session_id')} AND status IN ('idle', 'finished', 'stopped', 'failed')`,
    )
    .prepare()

  const insertRun = orm
    .insert(runs)
    .values({
      run_id: param('run_id'),
      session_id: param('session_id'),
      type: param('type'),
      agent_name: param('agent_name'),
      parameters: param('parameters'),
      scope: param('scope'),
      project_dir: param('project_dir'),
      parent_session_id: param('parent_session_id'),
      execution_mode: param('execution_mode'),
      demands: param('demands'),
      priority: param('priority'),
      max_attempts: param('max_attempts'),
      retry_delay_seconds: param('retry_delay_seconds'),
      on_lost: param('on_lost'),
      traceparent: param('traceparent'),
      idempotency_key: param('idempotency_key'),
      idempotency_fingerprint: param('idempotency_fingerprint'),
      created_at: param('now'),
      available_at: param('available_at'),
      timeout_at: param('timeout_at'),
      timeout_seconds: param('timeout_seconds'),
      updated_at: param('now'),
      cause: 'added',
      changed_by: param('changed_by'),
    })
    .prepare()

  const findEnded = orm
    .select({
      run: runColumns,
      timeout_seconds: runs.timeout_seconds,
      traceparent: runs.traceparent,
      active: sql<string | null>`(
        SELECT other.run_id FROM runs AS other
        WHERE other.session_id = runs.session_id AND other.${statusIn(ACTIVE_STATUSES)} LIMIT 1)`,
    })
    .from(runs)
    .where(eq(runs.run_id, param('run_id')))
    .prepare()

  function repeated(run: NewRun, matching: MatchingNow): AddedRun | null {
    if (!run.idempotency) return null
    const first = findByIdempotencyKey.get({ key: run.idempotency.key })
    if (!first) return null
    if (first.fingerprint === run.idempotency.fingerprint) {
      const matching_runners = matching.count(first.run.demands)
      return { run: first.run, created: false, matching_runners }
    }
    throw idempotencyConflict(run.idempotency.key, first.run.run_id)
  }

  /** A child's tools see what its parent's see; its own keys win. */
  function inheritedScope(run: NewRun): JsonObject | null {
    const own = run.scope ?? null
    if (!run.parent_session_id) return own
    const parent = findScope.get({ session_id: run.parent_session_id })?.scope ?? null
    return parent === null ? own : { ...parent, ...own }
  }

  /** What a run takes over from the session that it resumes. */
  function resumed(run: NewRun): NewRun {
    const session = findSession.get({ session_id: run.session_id })
    if (!session) throw sessionNotFound(run.session_id)
    return resuming(run, session)
  }

  function refuseFullQueue({ max_pending }: AddBounds): void {
    if (max_pending !== null) refuseWhenFull(pendingCount.read(), max_pending)
  }

  function add(
    given: NewRun,
    now: Timestamp,
    bounds = UNBOUNDED,
    matchingNow = matching.at(now, bounds.stale_before),
  ): AddedRun {
    const first = repeated(given, matchingNow)
    if (first) return first
    refuseFullQueue(bounds)
    const run = given.type === 'resume_session' ? resumed(given) : given
    const { parent_session_id } = run
    if (parent_session_id) {
      const ancestors = countAncestors.get({ session_id: parent_session_id })?.count ?? 0
      refuseParent(parent_session_id, ancestors)
    }
    const row = newRow(run, now)
    row.scope = inheritedScope(run)
    if (run.type === 'resume_session') {
      awaitResume.run({ session_id: row.session_id, now })
    } else if (insertSession.run({ now, ...row }).changes === 0) {
      throw sessionExists(row.session_id)
    }
    const matching_runners = matchingNow.countFor(run, row.demands)
    insert(row, run, now, clientOf(bounds.caller))
    return { run: row, created: true, matching_runners }
  }

  function insert(row: Run, run: NewRun, now: Timestamp, changed_by: ChangedBy): void {
    insertRun.run({
      timeout_seconds: row.timeout_at === null ? null : timeoutSeconds(run),
      traceparent: run.traceparent ?? null,
      idempotency_key: run.idempotency?.key ?? null,
      idempotency_fingerprint: run.idempotency?.fingerprint ?? null,
      now,
      changed_by,
      ...row,
      parameters: json(row.parameters),
      scope: json(row.scope),
      demands: json(row.demands),
    })
  }

  function retry(run_id: string, new_run_id: string, now: Timestamp, bounds = UNBOUNDED): AddedRun {
    const found = findEnded.get({ run_id })
    if (!found) throw runNotFound()
    const { run, active, timeout_seconds, traceparent } = found
    refuseRetry(run, active)
    refuseFullQueue(bounds)
    const again: NewRun = { ...run, run_id: new_run_id, traceparent }
    if (timeout_seconds !== null) again.timeout_seconds = timeout_seconds
    const row = newRow(again, now)
    awaitResume.run({ session_id: run.session_id, now })
    insert(row, again, now, clientOf(bounds.caller))
    const matching_runners = matching.at(now, bounds.stale_before).count(row.demands)
    return { run: row, created: true, matching_runners }
  }

  /**
   * The service itself goes on with a session: a resume like any other, with the scope that the
   * session's latest run had. No bound refuses it. @returns null where the session is gone
   */
  function goOn({ prompt, ...given }: Continuation, now: Timestamp): Run | null {
    const { session_id } = given
    if (!findSession.get({ session_id })) return null
    const run = resumed({
      ...given,
      ...{ type: 'resume_session', parameters: { prompt } },
      scope: findScope.get({ session_id })?.scope ?? null,
      timeout_seconds: matchTimeoutSeconds,
    })
    const row = newRow(run, now)
    awaitResume.run({ session_id, now })
    insert(row, run, now, 'service')
    return row
  }

  return { add, retry, goOn }
}

const UNBOUNDED: AddBounds = { max_pending: null }
