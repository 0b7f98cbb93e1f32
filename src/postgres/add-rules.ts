/** What a new run takes over from others, and what it is refused for. */
import { desc, eq, sql } from '../drizzle.ts'
import { resuming } from '../queue/new-row.ts'
import {
  idempotencyConflict,
  refuseParent,
  refuseWhenFull,
  sessionNotFound,
} from '../queue/refusals.ts'
import type { AddedRun, JsonObject, NewRun, Run } from '../queue/run.ts'
import { type AddBounds, PARENT_DEPTH_LIMIT } from '../queue/run-queue.ts'
import { rankRunners, unmatchable } from '../queue/runner-match.ts'
import type { Connection } from './database.ts'
import { ableFirst, countMatching, wantedBy } from './matching.ts'
import { countPending } from './pending-count.ts'
import { runs, sessions } from './schema.ts'
import { orm, param, prepared, runColumns, Statement, sessionColumns } from './statements.ts'

export const findSession = prepared(
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
export const findScope = prepared(
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

export async function repeated(
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
  throw idempotencyConflict(run.idempotency.key, first.run_id)
}

export async function refuseFullQueue(on: Connection, { max_pending }: AddBounds): Promise<void> {
  if (max_pending !== null) refuseWhenFull(await countPending(on), max_pending)
}

/** What a child takes over from its parent: its tools see what the parent's see; own keys win. */
export async function childOf(on: Connection, session_id: string, run: NewRun): Promise<NewRun> {
  refuseParent(session_id, (await countAncestors.get(on, { session_id }))?.count ?? 0)
  const inherited: JsonObject | null = (await findScope.get(on, { session_id }))?.scope ?? null
  return inherited === null ? run : { ...run, scope: { ...inherited, ...run.scope } }
}

/** Nobody could take it; in words. */
export async function refuseUnmatchable(
  on: Connection,
  row: Run,
  bounds: AddBounds,
): Promise<never> {
  const { demands, created_at } = row
  const { stale_before = '' } = bounds
  const runners = await ableFirst.all(on, wantedBy(demands, stale_before))
  throw unmatchable(demands, rankRunners(runners, demands, stale_before), created_at)
}

/** What a run takes over from the session that it resumes. */
export async function resumed(on: Connection, run: NewRun): Promise<NewRun> {
  const session = await findSession.get(on, { session_id: run.session_id })
  if (!session) throw sessionNotFound(run.session_id)
  return resuming(run, session)
}
