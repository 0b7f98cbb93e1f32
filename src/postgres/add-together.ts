/**
 * Runs that stand alone, added by one statement however many they are: those of a batch, and those
 * that different clients add at one moment. A batch of 1 000 was as many statements, each a round
 * trip while its transaction held on.
 */
import { sql } from '../drizzle.ts'
import { newRow } from '../queue/new-row.ts'
import type { AddedRun, NewRun, Run, Timestamp } from '../queue/run.ts'
import type { AddBounds } from '../queue/run-queue.ts'
import type { Connection } from './database.ts'
import { matchingCount } from './matching.ts'
import { NEW_COLUMNS, valuesOf } from './run-values.ts'
import { json, jsonList, param, Statement, storedText } from './statements.ts'
import { leading } from './together.ts'

export interface Asked {
  run: NewRun
  row: Run
  /** The row as the statement is told of it. */
  text: string
  stale_before: string
}

export function askedOf(run: NewRun, now: Timestamp, bounds: AddBounds): Asked {
  const row = newRow(run, now)
  const text = json(valuesOf(row, run, bounds)) ?? ''
  return { run, row, text, stale_before: bounds.stale_before ?? '' }
}

const names = Object.keys(NEW_COLUMNS).join(', ')
const typed = Object.entries(NEW_COLUMNS).map(([name, type]) => `${name} ${type}`)

/**
 * Each with its session, but for those whose session or idempotency key is there, or that nobody
 * could take and that asked to be refused then. Of the given no two have a session or a key in common.
 */
const startAll = new Statement<{ place: number; matching_runners: number }>(
  sql`
  WITH given AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(${param('runs')}) AS (
      reject_if_unmatchable boolean, ${sql.raw(typed.join(', '))})) WITH ORDINALITY),
  matching AS MATERIALIZED (
    SELECT demands, (${matchingCount(sql.raw('wanted.demands'))}) AS count
    FROM (SELECT DISTINCT demands FROM given) AS wanted),
  wanted AS MATERIALIZED (
    SELECT given.*, matching.count AS matching_runners
    FROM given JOIN matching ON matching.demands IS NOT DISTINCT FROM given.demands
    -- One look by the index for each: NOT EXISTS is turned into a scan of all runs that have a key.
    WHERE (matching.count > 0 OR NOT given.reject_if_unmatchable)
      AND (SELECT seq FROM runs WHERE runs.idempotency_key = given.idempotency_key LIMIT 1) IS NULL),
  started AS (
    INSERT INTO sessions
      (session_id, status, created_at, project_dir, agent_name, parent_session_id, updated_at)
    SELECT session_id, 'pending', created_at, project_dir, agent_name, parent_session_id, created_at
    FROM wanted
    ORDER BY ordinality
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id),
  added AS (
    INSERT INTO runs (${sql.raw(names)}, cause)
    SELECT ${sql.raw(names)}, 'added' FROM wanted JOIN started USING (session_id)
    ORDER BY ordinality
    RETURNING run_id)
  SELECT ordinality - 1 AS place, matching_runners FROM added JOIN wanted USING (run_id)`,
  { moves: true },
)

/** Whether it needs nothing of other runs and sessions. */
export const standsAlone = (run: NewRun): boolean =>
  run.type === 'start_session' && !run.parent_session_id

/**
 * The first of these that stand alone, as far as no two share a session or a key, and as may go
 * together. Not all at once: the statement's parts are joined row by row, since plans that are made
 * once must not depend on how much there is. 100 by 100 takes a millisecond, 1 000 by 1 000 a hundred
 * times that.
 */
export function leadingGroup(all: Asked[]): Asked[] {
  const asked = all.slice(
    0,
    leading(all, ({ text }) => text.length),
  )
  const isFirst = distinct(asked)
  const end = asked.findIndex(({ run }, at) => !standsAlone(run) || !isFirst[at])
  return end === -1 ? asked : asked.slice(0, end)
}

/** @returns of each whether no earlier one has its session or its key */
function distinct(asked: Asked[]): boolean[] {
  const met = new Set<string>()
  return asked.map(({ run }) => {
    const marks = [`session ${run.session_id}`, `run ${run.run_id}`]
    if (run.idempotency) marks.push(`key ${run.idempotency.key}`)
    // As they are stored, where what differs here may be one.
    const stored = marks.map(storedText)
    const isNew = !stored.some((mark) => met.has(mark))
    for (const mark of stored) met.add(mark)
    return isNew
  })
}

/**
 * @returns the outcomes in the order asked; null: not added, and to be asked for alone, which tells
 *   why. A lone one is: its own statement takes 0.4 ms, this one 0.7.
 */
export async function addTogether(on: Connection, batch: Asked[]): Promise<(AddedRun | null)[]> {
  if (batch.length < 2) return batch.map(() => null)
  const isFirst = distinct(batch)
  const given = batch.filter((_, at) => isFirst[at])
  // They ask within the same milliseconds, so one answer as to who is online does for all.
  const stale_before = batch.at(-1)?.stale_before ?? ''
  const runs = jsonList(given.map(({ text }) => text))
  const added = new Map<Asked, AddedRun>()
  for (const { place, matching_runners } of await startAll.all(on, { runs, stale_before })) {
    const asked = given[place]
    if (asked) added.set(asked, { run: asked.row, created: true, matching_runners })
  }
  return batch.map((asked) => added.get(asked) ?? null)
}
