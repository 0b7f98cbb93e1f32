/** Which runners could take a run: the claim's rule, asked from the side of the runners. */
import { asc, desc, type SQL, sql } from '../drizzle.ts'
import type { Demands } from '../queue/demands.ts'
import { INSIGHT_LIMIT, MATCHING_RUNNERS_LIMIT } from '../queue/insight.ts'
import { runnerColumns } from './runners.ts'
import { runners } from './schema.ts'
import { json, orm, param, prepared, Statement, textParam } from './statements.ts'

const offered = (property: string, demands: SQL) => {
  const wanted = sql`${demands} ->> ${sql.raw(`'${property}'`)}`
  return sql`coalesce(${sql.raw(property)} = ${wanted}, ${wanted} IS NULL)`
}

/** Online, and offers what is demanded. */
function isAble(demands: SQL): SQL {
  const tags = sql`coalesce(${demands} -> 'tags', '[]')`
  return sql`
    last_heartbeat > ${textParam('stale_before')} AND deregistered_at IS NULL
    AND ${offered('hostname', demands)} AND ${offered('project_dir', demands)}
    AND ${offered('executor_type', demands)} AND ${offered('executor_profile', demands)}
    AND ${tags} <@ runners.tags AND (${tags} <> '[]' OR NOT require_matching_tags)`
}
const given = sql`${param('demands')}::jsonb`

/** How many, for a statement that adds what demands so much. */
export const matchingCount = (demands: SQL = given): SQL => sql`
  SELECT count(*) FROM (
    SELECT 1 FROM runners WHERE ${isAble(demands)}
    LIMIT ${sql.raw(String(MATCHING_RUNNERS_LIMIT))}) AS able`

/** Up to {@link MATCHING_RUNNERS_LIMIT}; see {@link wantedBy} for what it is given, as those below. */
export const countMatching = new Statement<{ count: number }>(matchingCount())

/** Up to {@link INSIGHT_LIMIT}, whether they could take it or not. */
export const ableFirst = prepared(
  orm
    .select(runnerColumns)
    .from(runners)
    .orderBy(desc(sql`(${isAble(given)})`), desc(runners.last_heartbeat), asc(runners.runner_id))
    .limit(INSIGHT_LIMIT),
)

export const wantedBy = (demands: Demands | null, stale_before: string) => ({
  demands: json(demands),
  stale_before,
})
