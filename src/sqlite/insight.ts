/** Why a run does not start and a runner gets nothing, on SQLite. Each answer is read at one moment. */
import { type SQL, sql } from '../drizzle.ts'
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
import { bestMatch, pendingRuns } from './claim.ts'
import type { Orm } from './database.ts'
import type { Matching } from './matching.ts'
import type { Registry } from './runners.ts'
import { runs } from './schema.ts'
import { atMost, param, runColumns, statusIn } from './statements.ts'

const LIMIT = sql.raw(String(INSIGHT_LIMIT))

/** The different demands of claimable runs, one seek each; a NULL ends them. */
const demandKeys = sql`
  WITH RECURSIVE keys(key) AS MATERIALIZED (
    SELECT (SELECT demand_key FROM ${pendingRuns} ORDER BY demand_key LIMIT 1)
    UNION ALL
    SELECT (SELECT demand_key FROM ${pendingRuns} AND demand_key > keys.key
            ORDER BY demand_key LIMIT 1)
    FROM keys WHERE keys.key IS NOT NULL
    LIMIT ${LIMIT})`

interface Parts {
  orm: Orm
  registry: Registry
  matching: Matching
}

export function createInsight({ orm, registry, matching }: Parts): Insight {
  const find = orm
    .select({ run: runColumns, seq: runs.seq })
    .from(runs)
    .where(sql`run_id = ${param('run_id')}`)
    .prepare()

  // Under each demand those before it stand together, in three ranges of the index. (As row values
  // the last two would be one, but SQLite then walks all of the same instant.)
  const before = (range: SQL) => sql`
    SELECT 1 FROM keys CROSS JOIN ${pendingRuns} AND demand_key = keys.key AND ${range}`
  const samePriority = sql`priority = ${param('priority')}`
  const countAhead = orm
    .select({ count: sql<number>`count`, keys: sql<number>`keys` })
    .from(
      sql`(${demandKeys}
        SELECT
          (SELECT count(*) FROM (
            ${before(sql`priority > ${param('priority')}`)}
            UNION ALL
            ${before(sql`${samePriority} AND created_at < ${param('created_at')}`)}
            UNION ALL
            ${before(sql`${samePriority} AND created_at = ${param('created_at')} AND seq < ${param('seq')}`)}
            LIMIT ${LIMIT})) AS count,
          (SELECT count(*) FROM keys) AS keys)`,
    )
    .prepare()

  const findDemanded = orm
    .select({ run_id: runs.run_id, demands: runs.demands, priority: runs.priority })
    .from(runs)
    .where(
      sql`seq IN (${demandKeys}
        SELECT (SELECT seq FROM ${pendingRuns} AND demand_key = keys.key
                ORDER BY priority DESC, created_at, seq LIMIT 1)
        FROM keys)`,
    )
    .prepare()

  // One walk over all that is held, which is as little as runners can hold.
  const findHeld = orm
    .select({
      run_id: runs.run_id,
      runner_id: runs.runner_id,
      status: runs.status,
      since: sql<Timestamp | null>`iif(status = 'claimed', claimed_at, started_at)`,
    })
    .from(runs)
    .where(
      sql`${statusIn(HELD_STATUSES)}
        AND +runner_id IN (SELECT value FROM json_each(${param('runner_ids')}))`,
    )
    .limit(atMost(INSIGHT_LIMIT))
    .prepare()

  const findNext = orm
    .select({ run_id: runs.run_id })
    .from(runs)
    .where(sql`seq = ${bestMatch}`)
    .prepare()
  const findAvailable = orm
    .select({ available_at: sql<Timestamp>`available_at` })
    .from(sql`runs INDEXED BY idx_runs_available`)
    .where(sql`status = 'pending' AND available_at IS NOT NULL`)
    .orderBy(sql`available_at`)
    .limit(atMost(1))
    .prepare()

  function ahead(run: Run, seq: number): Count | null {
    if (run.status !== 'pending' || run.available_at !== null) return null
    const { priority, created_at } = run
    const found = countAhead.get({ priority, created_at, seq })
    const { count = 0, keys = 0 } = found ?? {}
    return { count, at_least: count >= INSIGHT_LIMIT || keys >= INSIGHT_LIMIT }
  }

  const held = (runner_ids: string[]): (HeldRun & { runner_id: string | null })[] =>
    findHeld.all({ runner_ids: JSON.stringify(runner_ids) })
  const next = (runner_id: string): string | null => findNext.get({ runner_id })?.run_id ?? null

  function run(run_id: string, terms: Terms, now: Timestamp) {
    const found = find.get({ run_id })
    if (!found) throw runNotFound()
    const { run, seq } = found
    const staleBefore = addSeconds(now, -terms.stale_seconds)
    const runners = needsRunner(run) ? matching.runners(run.demands, staleBefore) : []
    const asked = toAskFor(rankFor(run, runners, terms, now))
    return explainRun(
      {
        run,
        ahead: ahead(run, seq),
        holder: run.runner_id === null ? null : registry.get(run.runner_id),
        runners,
        held: asked.length === 0 ? [] : held(asked),
        next: Object.fromEntries(asked.map((runner_id) => [runner_id, next(runner_id)])),
      },
      terms,
      now,
    )
  }

  function runner(runner_id: string, terms: Terms, now: Timestamp) {
    const runner = registry.get(runner_id)
    if (!runner) throw notRegistered(runner_id, terms)
    return explainRunner(
      {
        runner,
        held: held([runner_id]).map(({ runner_id: _, ...one }) => one),
        next_run_id: next(runner_id),
        next_available_at: findAvailable.get()?.available_at ?? null,
        demanded: findDemanded.all() as Demanded[],
      },
      terms,
      now,
    )
  }

  /** So that all of it is of one moment; other processes may commit meanwhile. */
  const atOnce = <T>(read: () => T): T => orm.transaction(read, { behavior: 'deferred' })
  return {
    explainRun: async (run_id, terms, now) => atOnce(() => run(run_id, terms, now)),
    explainRunner: async (runner_id, terms, now) => atOnce(() => runner(runner_id, terms, now)),
  }
}
