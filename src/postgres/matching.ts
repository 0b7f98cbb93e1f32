/** Which runners could take a run: the claim's rule, asked from the side of the runners. */
import { asc, desc, sql } from 'drizzle-orm'
import type { Demands } from '../queue/demands.ts'
import { INSIGHT_LIMIT, MATCHING_RUNNERS_LIMIT } from '../queue/insight.ts'
import { runnerColumns } from './runners.ts'
import { runners } from './schema.ts'
import { json, orm, param, prepared, Statement, textParam } from './statements.ts'

const tags = sql`coalesce(${param('demands')}::jsonb -> 'tags', '[]')`
const offered = (property: string) => {
  const wanted = sql`${param('demands')}::jsonb ->> ${sql.raw(`'${property}'`)}`
  return sql`coalesce(${sql.raw(property)} = ${wanted}, ${wanted} IS NULL)`
}

/** Online, and offers what is demanded. */
const isAble = sql`
  last_heartbeat > ${textParam('stale_before')} AND deregistered_at IS NULL
  AND ${offered('hostname')} AND ${offered('project_dir')}
  AND ${offered('executor_type')} AND ${offered('executor_profile')}
  AND ${tags} <@ runners.tags AND (${tags} <> '[]' OR NOT require_matching_tags)`

/** How many, for the statement that adds the run with these `demands`. */
export const matchingCount = sql`
  SELECT count(*) FROM (
    SELECT 1 FROM runners WHERE ${isAble} LIMIT ${sql.raw(String(MATCHING_RUNNERS_LIMIT))}) AS able`

/** Up to {@link MATCHING_RUNNERS_LIMIT}; see {@link wantedBy} for what it is given, as those below. */
export const countMatching = new Statement<{ count: number }>(matchingCount)

/** Up to {@link INSIGHT_LIMIT}, whether they could take it or not. */
export const ableFirst = prepared(
  orm
    .select(runnerColumns)
    .from(runners)
    .orderBy(desc(sql`(${isAble})`), desc(runners.last_heartbeat), asc(runners.runner_id))
    .limit(INSIGHT_LIMIT),
)

export const wantedBy = (demands: Demands | null, stale_before: string) => ({
  demands: json(demands),
  stale_before,
})
