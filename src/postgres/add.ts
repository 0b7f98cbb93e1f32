/** Adding runs: the session, the inheritance, the idempotency key and the run, all in one operation. */
import { eq, sql } from '../drizzle.ts'
import { refusedAt } from '../queue/batch-error.ts'
import { QueueError } from '../queue/errors.ts'
import { newRow } from '../queue/new-row.ts'
import { refuseRetry, runNotFound, sessionExists } from '../queue/refusals.ts'
import {
  ACTIVE_STATUSES,
  type AddedRun,
  type NewRun,
  type Run,
  type Timestamp,
} from '../queue/run.ts'
import type { AddBounds } from '../queue/run-queue.ts'
import {
  childOf,
  findScope,
  findSession,
  refuseFullQueue,
  refuseUnmatchable,
  repeated,
  resumed,
} from './add-rules.ts'
import { type Asked, addTogether, askedOf, leadingGroup, standsAlone } from './add-together.ts'
import type { Connection, Database } from './database.ts'
import { translate } from './errors.ts'
import { matchingCount } from './matching.ts'
import { keepPendingCount, lockPendingBound } from './pending-count.ts'
import { takeRuns } from './run-rate.ts'
import { NEW_COLUMNS, valuesOf } from './run-values.ts'
import { runs } from './schema.ts'
import {
  json,
  orm,
  param,
  prepared,
  preparedChange,
  runColumns,
  Statement,
  statusAmong,
  textParam,
} from './statements.ts'
import { Together } from './together.ts'

const insertRun = sql`
  INSERT INTO runs (${sql.raw(Object.keys(NEW_COLUMNS).join(', '))}, cause)
  SELECT ${sql.join(
    Object.entries(NEW_COLUMNS).map(([name, type]) => sql`${param(name)}::${sql.raw(type)}`),
    sql`, `,
  )}, 'added'`

type Inserted = { matching_runners: number }
/** How many could take it; where none could, a run that asked for that is not added. */
const matching = sql`
  matching AS MATERIALIZED (${matchingCount()}),
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

async function add(
  on: Connection,
  given: NewRun,
  now: Timestamp,
  bounds: AddBounds,
): Promise<AddedRun> {
  const first = await repeated(on, given, bounds)
  if (first) return first
  await refuseFullQueue(on, bounds)
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
  throw sessionExists(row.session_id)
}

const stored = (row: Run, run: NewRun, bounds: AddBounds) => ({
  ...valuesOf(row, run, bounds),
  stale_before: bounds.stale_before ?? '',
  parameters: json(row.parameters),
  scope: json(row.scope),
  demands: json(row.demands),
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
  if (!found) throw runNotFound()
  const { active, timeout_seconds, traceparent, ...run } = found
  refuseRetry(run, active)
  await refuseFullQueue(on, bounds)
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
  const together = new Together(
    (batch: Asked[]) => database.run((on) => addTogether(on, batch)),
    ({ text }) => text.length,
  )

  return {
    async add(run: NewRun, now: Timestamp, bounds = UNBOUNDED): Promise<AddedRun> {
      const isFree = bounds.max_pending === null && !bounds.rate
      if (!isFree) return await bounded(bounds, 1, now, (on) => add(on, run, now, bounds))
      const added = standsAlone(run) ? await together.ask(askedOf(run, now, bounds)) : null
      // A single statement writes, so without bounds it needs no transaction around it.
      return added ?? (await database.run((on) => add(on, run, now, bounds)))
    },

    async addMany(newRuns: NewRun[], now: Timestamp, bounds = UNBOUNDED): Promise<AddedRun[]> {
      const addAll = (inGroups: boolean) =>
        bounded(bounds, newRuns.length, now, (on) => addInOrder(on, newRuns, now, bounds, inGroups))
      try {
        return await addAll(true)
      } catch (error) {
        // Which it is of those that went together, each alone says.
        const isTaken = error instanceof QueueError && error.code === 'run_exists'
        if (!isTaken || error.facts['index'] !== undefined) throw error
        return await addAll(false)
      }
    },

    retry: (
      run_id: string,
      new_run_id: string,
      now: Timestamp,
      bounds = UNBOUNDED,
    ): Promise<AddedRun> =>
      bounded(bounds, 1, now, (on) => retry(on, run_id, new_run_id, now, bounds)),
  }
}

/** All or none. Those that stand alone and follow one another go in one statement. */
async function addInOrder(
  on: Connection,
  newRuns: NewRun[],
  now: Timestamp,
  bounds: AddBounds,
  inGroups: boolean,
): Promise<AddedRun[]> {
  const added: AddedRun[] = []
  // A bound is looked at for each.
  const asked =
    inGroups && bounds.max_pending === null ? newRuns.map((run) => askedOf(run, now, bounds)) : []
  while (added.length < newRuns.length) {
    const outcomes = await addTogether(on, leadingGroup(asked.slice(added.length)))
    for (const outcome of outcomes.length > 0 ? outcomes : [null]) {
      const run = newRuns[added.length] as NewRun
      added.push(outcome ?? (await addAt(added.length, on, run, now, bounds)))
    }
  }
  return added
}

/** @throws QueueError that says which of them is refused */
async function addAt(
  index: number,
  on: Connection,
  run: NewRun,
  now: Timestamp,
  bounds: AddBounds,
): Promise<AddedRun> {
  try {
    return await add(on, run, now, bounds)
  } catch (error) {
    throw refusedAt(index, error, translate(error))
  }
}
