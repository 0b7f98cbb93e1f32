/** Why a run does not start and a runner gets nothing, on PostgreSQL. Each answer is read at one moment. */
import { sql } from '../drizzle.ts'
import { explainRun, needsRunner, rankFor, toAskFor } from '../queue/explain-run.ts'
import { type Demanded, explainRunner, notRegistered } from '../queue/explain-runner.ts'
import {
  type Count,
  type HeldRun,
  INSIGHT_LIMIT,
  type Insight,
  type Terms,
} from '../queue/insight.ts'
import { runNotFound } from '../queue/refusals.ts'
import { HELD_STATUSES, type Run, type Timestamp } from '../queue/run.ts'
import { addSeconds } from '../queue/time.ts'
import { claimable, findNext } from './claim.ts'
import type { Connection, Database } from './database.ts'
import { ableFirst, wantedBy } from './matching.ts'
import { findRunner } from './runners.ts'
import { runs } from './schema.ts'
import {
  numberedColumns,
  orm,
  param,
  prepared,
  preparedChange,
  Statement,
  statusIn,
  textParam,
} from './statements.ts'

const LIMIT = sql.raw(String(INSIGHT_LIMIT))

const find = prepared(
  orm
    .select(numberedColumns)
    .from(runs)
    .where(sql`run_id = ${param('run_id')}`),
)

/** The different demands of claimable runs, one seek each. */
const demandKeys = sql`
  WITH RECURSIVE keys(key, place) AS (
    (SELECT demand_key, 1 FROM runs WHERE ${claimable} ORDER BY demand_key COLLATE "C" LIMIT 1)
    UNION ALL
    SELECT found.key, keys.place + 1
    FROM keys CROSS JOIN LATERAL (
      SELECT demand_key AS key FROM runs
      WHERE ${claimable} AND demand_key COLLATE "C" > keys.key
      ORDER BY demand_key COLLATE "C" LIMIT 1) AS found
    WHERE keys.place < ${LIMIT})`

/**
 * Under each demand those before it stand together, in two ranges of the index, whose order keeps the
 * planner to it: it seems no better then to read all that are pending.
 */
const countAhead = new Statement<{ count: number; keys: number }>(sql`
  ${demandKeys}
  SELECT
    (SELECT count(*) FROM (
      SELECT 1 FROM keys CROSS JOIN LATERAL (
        SELECT 1 FROM runs WHERE ${claimable} AND demand_key COLLATE "C" = keys.key
          AND priority > ${param('priority')}::int
        ORDER BY priority DESC, created_at, seq LIMIT ${LIMIT}) AS higher
      UNION ALL
      SELECT 1 FROM keys CROSS JOIN LATERAL (
        SELECT 1 FROM runs WHERE ${claimable} AND demand_key COLLATE "C" = keys.key
          AND priority = ${param('priority')}::int
          AND (created_at, seq) < (${textParam('created_at')}, ${param('seq')}::bigint)
        ORDER BY priority DESC, created_at, seq LIMIT ${LIMIT}) AS older
      LIMIT ${LIMIT}) AS before) AS count,
    (SELECT count(*) FROM keys) AS keys`)

const findDemanded = new Statement<Demanded>(sql`
  ${demandKeys}
  SELECT head.run_id, head.demands, head.priority
  FROM keys CROSS JOIN LATERAL (
    SELECT run_id, demands, priority FROM runs
    WHERE ${claimable} AND demand_key COLLATE "C" = keys.key
    ORDER BY priority DESC, created_at, seq LIMIT 1) AS head`)

type Held = HeldRun & { runner_id: string | null }

// One walk over all that is held, which is as little as runners can hold. What coalesce() hides may be
// null, so the partial index on the runner, which has all that ended too, does not offer itself.
const findHeld = new Statement<Held>(sql`
  SELECT run_id, runner_id, status,
    CASE WHEN status = 'claimed' THEN claimed_at ELSE started_at END AS since
  FROM runs
  WHERE ${statusIn(HELD_STATUSES)} AND coalesce(runner_id, '') = ANY(${param('runner_ids')}::text[])
  LIMIT ${LIMIT}`)

const findAvailable = new Statement<{ available_at: Timestamp }>(sql`
  SELECT available_at FROM runs WHERE status = 'pending' AND available_at IS NOT NULL
  ORDER BY available_at LIMIT 1`)

/** So that all of an answer is of one moment. */
const atOneMoment = preparedChange(sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`)

async function aheadOf(on: Connection, run: Run, seq: number): Promise<Count | null> {
  if (run.status !== 'pending' || run.available_at !== null) return null
  const { priority, created_at } = run
  const found = await countAhead.get(on, { priority, created_at, seq })
  const { count = 0, keys = 0 } = found ?? {}
  return { count, at_least: count >= INSIGHT_LIMIT || keys >= INSIGHT_LIMIT }
}

const nextFor = async (on: Connection, runner_id: string): Promise<string | null> =>
  (await findNext.get(on, { runner_id }))?.run_id ?? null

async function runOn(on: Connection, run_id: string, terms: Terms, now: Timestamp) {
  const found = await find.get(on, { run_id })
  if (!found) throw runNotFound()
  const { seq, ...run } = found
  const { runner_id, demands } = run
  const wanted = wantedBy(demands, addSeconds(now, -terms.stale_seconds))
  const runners = needsRunner(run) ? await ableFirst.all(on, wanted) : []
  const asked = toAskFor(rankFor(run, runners, terms, now))
  const next: Record<string, string | null> = {}
  for (const id of asked) next[id] = await nextFor(on, id)
  const facts = {
    run,
    ahead: await aheadOf(on, run, seq),
    holder: runner_id === null ? null : ((await findRunner.get(on, { runner_id })) ?? null),
    runners,
    held: asked.length === 0 ? [] : await findHeld.all(on, { runner_ids: asked }),
    next,
  }
  return explainRun(facts, terms, now)
}

async function runnerOn(on: Connection, runner_id: string, terms: Terms, now: Timestamp) {
  const runner = await findRunner.get(on, { runner_id })
  if (!runner) throw notRegistered(runner_id, terms)
  const held = await findHeld.all(on, { runner_ids: [runner_id] })
  const facts = {
    runner,
    held: held.map(({ runner_id: _, ...one }) => one),
    next_run_id: await nextFor(on, runner_id),
    next_available_at: (await findAvailable.get(on))?.available_at ?? null,
    demanded: await findDemanded.all(on),
  }
  return explainRunner(facts, terms, now)
}

export function createInsight(database: Database): Insight {
  const atOnce = <T>(read: (on: Connection) => Promise<T>): Promise<T> =>
    database.transaction(async (on) => {
      await atOneMoment.run(on)
      return await read(on)
    })
  return {
    explainRun: (run_id, terms, now) => atOnce((on) => runOn(on, run_id, terms, now)),
    explainRunner: (runner_id, terms, now) => atOnce((on) => runnerOn(on, runner_id, terms, now)),
  }
}
