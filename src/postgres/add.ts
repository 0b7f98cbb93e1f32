/** Adding runs: the session, the inheritance, the idempotency key and the run, all in one operation. */
import { desc, eq, sql } from 'drizzle-orm'
import { clientOf } from '../queue/cause.ts'
import { canonicalDemands } from '../queue/demands.ts'
import { QueueError } from '../queue/errors.ts'
import { newRow, timeoutSeconds } from '../queue/new-row.ts'
import {
  ACTIVE_STATUSES,
  type AddedRun,
  type JsonObject,
  type NewRun,
  type Run,
  type Timestamp,
} from '../queue/run.ts'
import { type AddBounds, PARENT_DEPTH_LIMIT } from '../queue/run-queue.ts'
import { rankRunners, unmatchable } from '../queue/runner-match.ts'
import type { Connection, Database } from './database.ts'
import { ableFirst, countMatching, matchingCount, wantedBy } from './matching.ts'
import { countPending, keepPendingCount, lockPendingBound } from './pending-count.ts'
import { takeRuns } from './run-rate.ts'
import { runs, sessions } from './schema.ts'
import {
  json,
  orm,
  param,
  prepared,
  preparedChange,
  runColumns,
  Statement,
  sessionColumns,
  statusAmong,
  textParam,
} from './statements.ts'

const findSession = prepared(
  orm
    .select({ ...sessionColumns, executor_type: sessions.executor_type })
    .from(sessions)
    .where(eq(sessions.session_id, param('session_id'))),
)
const findByIdempotencyKey = prepared(
  orm
    .select({ ...runColumns, idempotency_fingerprint: runs.idempotency_fingerprint })
    .from(runs)
    .where(eq(runs.idempotency_key, param('key'))),
)
const findScope = prepared(
  orm
    .select({ scope: runs.scope })
    .from(runs)
    .where(eq(runs.session_id, param('session_id')))
    .orderBy(desc(runs.created_at), desc(runs.seq))
    .limit(1),
)

// UNION drops what was met before, so that a circle ends; so does the limit.
const countAncestors = new Statement<{ count: number }>(sql`
  WITH RECURSIVE ancestors(session_id) AS (
    SELECT session_id FROM sessions WHERE session_id = ${param('session_id')}
    UNION
    SELECT parent.session_id
    FROM ancestors
    JOIN sessions AS child ON child.session_id = ancestors.session_id
    JOIN sessions AS parent ON parent.session_id = child.parent_session_id)
  SELECT count(*) FROM (
    SELECT 1 FROM ancestors LIMIT ${sql.raw(String(PARENT_DEPTH_LIMIT + 1))}) AS counted`)

/** The columns of a new run, with their types: a SELECT does not tell its parameters any. */
const NEW_COLUMNS = {
  ...{ run_id: 'text', session_id: 'text', type: 'text', agent_name: 'text', parameters: 'json' },
  ...{ scope: 'json', project_dir: 'text', parent_session_id: 'text', execution_mode: 'text' },
  ...{ demands: 'jsonb', priority: 'int', max_attempts: 'int', retry_delay_seconds: 'float8' },
  ...{ on_lost: 'text', idempotency_key: 'text', idempotency_fingerprint: 'text' },
  ...{ created_at: 'text', available_at: 'text', timeout_at: 'text', timeout_seconds: 'float8' },
  ...{ updated_at: 'text', changed_by: 'text', traceparent: 'text' },
}
const insertRun = sql`
  INSERT INTO runs (${sql.raw(Object.keys(NEW_COLUMNS).join(', '))}, cause)
  SELECT ${sql.join(
    Object.entries(NEW_COLUMNS).map(([name, type]) => sql`${param(name)}::${sql.raw(type)}`),
    sql`, `,
  )}, 'added'`

type Inserted = { matching_runners: number }
/** How many could take it; where none could, a run that asked for that is not added. */
const matching = sql`
  matching AS MATERIALIZED (${matchingCount}),
  wanted AS (
    SELECT 1 FROM matching WHERE count > 0 OR NOT ${param('reject_if_unmatchable')}::boolean)`
const returning = sql`RETURNING (SELECT count FROM matching) AS matching_runners`

/** Both or, where the session exists already or nobody could take the run, none. */
const start = new Statement<Inserted>(sql`
  WITH ${matching},
  session AS (
    INSERT INTO sessions
      (session_id, status, created_at, project_dir, agent_name, parent_session_id, updated_at)
    SELECT ${textParam('session_id')}, 'pending', ${textParam('created_at')},
      ${textParam('project_dir')}, ${textParam('agent_name')}, ${textParam('parent_session_id')},
      ${textParam('created_at')}
    FROM wanted
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id)
  ${insertRun} FROM session ${returning}`)

// A session that ended waits again; one whose run is at hand goes on with that.
const resume = new Statement<Inserted>(sql`
  WITH ${matching},
  session AS (
    UPDATE sessions SET status = 'pending', last_resumed_at = ${textParam('created_at')},
      updated_at = ${textParam('created_at')}
    WHERE session_id = ${param('session_id')}
      AND status IN ('idle', 'finished', 'stopped', 'failed')
      AND EXISTS (SELECT 1 FROM wanted))
  ${insertRun} FROM wanted ${returning}`)

/** Whoever retries a run of the session does so one after the other. */
const lockSession = preparedChange(sql`
  SELECT 1 FROM sessions
  WHERE session_id = (SELECT session_id FROM runs WHERE run_id = ${param('run_id')})
  FOR UPDATE`)
const findEnded = prepared(
  orm
    .select({
      ...runColumns,
      timeout_seconds: runs.timeout_seconds,
      traceparent: runs.traceparent,
      active: sql<string | null>`(
        SELECT other.run_id FROM runs AS other
        WHERE other.session_id = runs.session_id AND other.${statusAmong(ACTIVE_STATUSES)}
        LIMIT 1)`.as('active'),
    })
    .from(runs)
    .where(eq(runs.run_id, param('run_id'))),
)

async function repeated(
  on: Connection,
  run: NewRun,
  { stale_before = '' }: AddBounds,
): Promise<AddedRun | null> {
  if (!run.idempotency) return null
  const found = await findByIdempotencyKey.get(on, { key: run.idempotency.key })
  if (!found) return null
  const { idempotency_fingerprint, ...first } = found
  if (idempotency_fingerprint === run.idempotency.fingerprint) {
    const matching = await countMatching.get(on, wantedBy(first.demands, stale_before))
    return { run: first, created: false, matching_runners: matching?.count ?? 0 }
  }
  throw new QueueError(
    'idempotency_conflict',
    `Idempotency key '${run.idempotency.key}' was used for another request (run ${first.run_id})`,
  )
}

async function refuseWhenFull(on: Connection, { max_pending }: AddBounds): Promise<void> {
  if (max_pending === null) return
  const pending = await countPending(on)
  if (pending < max_pending) return
  throw new QueueError(
    'queue_full',
    `The queue is full: ${pending} runs are pending, and at most ${max_pending} may be`,
  )
}

async function refuseParent(on: Connection, session_id: string): Promise<void> {
  const ancestors = (await countAncestors.get(on, { session_id }))?.count ?? 0
  if (ancestors === 0) {
    throw new QueueError('parent_not_found', `Parent session '${session_id}' not found`)
  }
  if (ancestors <= PARENT_DEPTH_LIMIT) return
  throw new QueueError(
    'parent_too_deep',
    `Parent session '${session_id}' has ${PARENT_DEPTH_LIMIT} ancestors or more: a run may have ${PARENT_DEPTH_LIMIT} at most`,
  )
}

/** What a child takes over from its parent: its tools see what the parent's see; own keys win. */
async function childOf(on: Connection, session_id: string, run: NewRun): Promise<NewRun> {
  await refuseParent(on, session_id)
  const inherited: JsonObject | null = (await findScope.get(on, { session_id }))?.scope ?? null
  return inherited === null ? run : { ...run, scope: { ...inherited, ...run.scope } }
}

/** Nobody could take it; in words. */
async function refuseUnmatchable(on: Connection, row: Run, bounds: AddBounds): Promise<never> {
  const { demands, created_at } = row
  const { stale_before = '' } = bounds
  const runners = await ableFirst.all(on, wantedBy(demands, stale_before))
  throw unmatchable(demands, rankRunners(runners, demands, stale_before), created_at)
}

/** What a run takes over from the session that it resumes. */
async function resumed(on: Connection, run: NewRun): Promise<NewRun> {
  const session = await findSession.get(on, { session_id: run.session_id })
  if (!session) throw new QueueError('session_not_found', `Session '${run.session_id}' not found`)
  const { hostname, executor_profile, executor_type } = session
  const bound = hostname === null ? null : { hostname, executor_profile, executor_type }
  return {
    ...run,
    agent_name: run.agent_name ?? session.agent_name,
    project_dir: run.project_dir ?? session.project_dir,
    demands: canonicalDemands(bound, run.demands),
  }
}

async function add(
  on: Connection,
  given: NewRun,
  now: Timestamp,
  bounds: AddBounds,
): Promise<AddedRun> {
  const first = await repeated(on, given, bounds)
  if (first) return first
  await refuseWhenFull(on, bounds)
  const run = given.type === 'resume_session' ? await resumed(on, given) : given
  const { parent_session_id } = run
  const whole = parent_session_id ? await childOf(on, parent_session_id, run) : run
  const row = newRow(whole, now)
  const isResume = run.type === 'resume_session'
  const inserted = await (isResume ? resume : start).get(on, stored(row, run, bounds))
  if (inserted) return { run: row, created: true, ...inserted }
  if (isResume) return await refuseUnmatchable(on, row, bounds)
  // Perhaps by the same request, which overtook this one.
  const overtaken = await repeated(on, given, bounds)
  if (overtaken) return overtaken
  if (run.reject_if_unmatchable && !(await findSession.get(on, { session_id: row.session_id }))) {
    return await refuseUnmatchable(on, row, bounds)
  }
  throw new QueueError('session_exists', `Session '${row.session_id}' already exists`)
}

const stored = (row: Run, run: NewRun, { stale_before = '', caller }: AddBounds) => ({
  ...row,
  stale_before,
  reject_if_unmatchable: run.reject_if_unmatchable ?? false,
  parameters: json(row.parameters),
  scope: json(row.scope),
  demands: json(row.demands),
  timeout_seconds: row.timeout_at === null ? null : timeoutSeconds(run),
  traceparent: run.traceparent ?? null,
  idempotency_key: run.idempotency?.key ?? null,
  idempotency_fingerprint: run.idempotency?.fingerprint ?? null,
  updated_at: row.created_at,
  changed_by: clientOf(caller),
})

async function retry(
  on: Connection,
  run_id: string,
  new_run_id: string,
  now: Timestamp,
  bounds: AddBounds,
): Promise<AddedRun> {
  await lockSession.run(on, { run_id })
  const found = await findEnded.get(on, { run_id })
  if (!found) throw new QueueError('run_not_found', 'Run not found')
  const { active, timeout_seconds, traceparent, ...run } = found
  if (run.status !== 'failed' && run.status !== 'stopped') {
    throw new QueueError(
      'run_wrong_status',
      `Run ${run_id} is ${run.status}: only a failed or stopped run can be retried`,
    )
  }
  if (active !== null) {
    throw new QueueError(
      'session_active',
      `Session '${run.session_id}' has an active run (${active}): wait for its end`,
    )
  }
  await refuseWhenFull(on, bounds)
  const again: NewRun = { ...run, run_id: new_run_id, traceparent }
  if (timeout_seconds !== null) again.timeout_seconds = timeout_seconds
  const row = newRow(again, now)
  const inserted = await resume.get(on, stored(row, again, bounds))
  return { run: row, created: true, matching_runners: inserted?.matching_runners ?? 0 }
}

type Continued = 'run_id' | 'session_id' | 'timeout_seconds' | 'traceparent'
type Continuation = Required<Pick<NewRun, Continued>> & { prompt: string }

/**
 * The service itself goes on with a session: a resume like any other, with the scope that the
 * session's latest run had. No bound refuses it.
 */
export async function goOn(
  on: Connection,
  { prompt, ...given }: Continuation,
  now: Timestamp,
): Promise<Run> {
  const { session_id } = given
  const scope = (await findScope.get(on, { session_id }))?.scope ?? null
  const run = await resumed(on, { ...given, type: 'resume_session', parameters: { prompt }, scope })
  const row = newRow(run, now)
  await resume.run(on, { ...stored(row, run, UNBOUNDED), changed_by: 'service' })
  return row
}

const UNBOUNDED: AddBounds = { max_pending: null }

export function createAdd(database: Database) {
  /** In a transaction; one that holds the bound's lock where there is a bound. */
  async function bounded<T>(
    bounds: AddBounds,
    count: number,
    now: Timestamp,
    operation: (on: Connection) => Promise<T>,
  ): Promise<T> {
    const { max_pending, rate } = bounds
    if (max_pending !== null) await keepPendingCount(database)
    return await database.transaction(async (on) => {
      if (max_pending !== null) await lockPendingBound(on)
      if (rate) await takeRuns(on, rate, count, now)
      return await operation(on)
    })
  }

  return {
    add(run: NewRun, now: Timestamp, bounds = UNBOUNDED): Promise<AddedRun> {
      const operation = (on: Connection) => add(on, run, now, bounds)
      // A single statement writes, so without bounds it needs no transaction around it.
      const isFree = bounds.max_pending === null && !bounds.rate
      return isFree ? database.run(operation) : bounded(bounds, 1, now, operation)
    },

    addMany: (newRuns: NewRun[], now: Timestamp, bounds = UNBOUNDED): Promise<AddedRun[]> =>
      bounded(bounds, newRuns.length, now, async (on) => {
        const added: AddedRun[] = []
        for (const [index, run] of newRuns.entries()) {
          try {
            added.push(await add(on, run, now, bounds))
          } catch (error) {
            if (!(error instanceof QueueError)) throw error
            throw new QueueError(error.code, `run ${index}: ${error.message}`, { facts: { index } })
          }
        }
        return added
      }),

    retry: (
      run_id: string,
      new_run_id: string,
      now: Timestamp,
      bounds = UNBOUNDED,
    ): Promise<AddedRun> =>
      bounded(bounds, 1, now, (on) => retry(on, run_id, new_run_id, now, bounds)),
  }
}
