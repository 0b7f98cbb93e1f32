/** What a new run takes over from others, and what it is refused for. */
import { desc, eq, sql } from '../drizzle.ts'
import { canonicalDemands } from '../queue/demands.ts'
import { QueueError } from '../queue/errors.ts'
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
  throw new QueueError(
    'idempotency_conflict',
    `Idempotency key '${run.idempotency.key}' was used for another request (run ${first.run_id})`,
  )
}

export async function refuseWhenFull(on: Connection, { max_pending }: AddBounds): Promise<void> {
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
export async function childOf(on: Connection, session_id: string, run: NewRun): Promise<NewRun> {
  await refuseParent(on, session_id)
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
