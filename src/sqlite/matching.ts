/** Which runners could take a run: the claim's rule, asked from the side of the runners. */
import { asc, desc, type SQL, sql } from '../drizzle.ts'
import { DEMAND_PROPERTIES, type DemandProperty, type Demands } from '../queue/demands.ts'
import { INSIGHT_LIMIT, MATCHING_RUNNERS_LIMIT } from '../queue/insight.ts'
import type { NewRun, Timestamp } from '../queue/run.ts'
import type { Runner } from '../queue/runner.ts'
import { rankRunners, unmatchable } from '../queue/runner-match.ts'
import type { Orm } from './database.ts'
import { runnerColumns } from './runners.ts'
import { runners } from './schema.ts'
import { atMost, param } from './statements.ts'

/** What a run demands, as a row: each value is bound once. */
const wanted = sql`(SELECT
  ${param('stale_before')} AS stale_before, ${param('hostname')} AS hostname,
  ${param('project_dir')} AS project_dir, ${param('executor_type')} AS executor_type,
  ${param('executor_profile')} AS executor_profile, ${param('tags')} AS tags,
  ${param('first_tag')} AS first_tag) AS wanted`

const offered = (property: DemandProperty) =>
  sql.raw(`(wanted.${property} IS NULL OR runners.${property} = wanted.${property})`)

/**
 * Most runners lack the first tag, which a look at the text shows in a sixth of the time: measured
 * with 1 000 runners online, 0.12 instead of 0.69 ms. Where the text has escapes it may show nothing.
 */
const mayHaveTags = sql`
  (instr(runners.tags, wanted.first_tag) > 0 OR instr(runners.tags, '\\') > 0)`

const isOnline = (stale_before: SQL) => sql`
  runners.last_heartbeat > ${stale_before} AND runners.deregistered_at IS NULL`

/** Takes runs that demand no tag. */
const takesUntagged = sql`NOT runners.require_matching_tags`

/** Online, and offers what is demanded. */
const isAble = sql`
  ${isOnline(sql`wanted.stale_before`)}
  AND ${sql.join(DEMAND_PROPERTIES.map(offered), sql` AND `)}
  AND (wanted.tags = '[]' OR (${mayHaveTags} AND NOT EXISTS (
    SELECT 1 FROM json_each(wanted.tags) AS tag
    WHERE NOT EXISTS (SELECT 1 FROM json_each(runners.tags) AS own WHERE own.value = tag.value))))
  AND (wanted.tags <> '[]' OR ${takesUntagged})`

export type Matching = ReturnType<typeof prepareMatching>

export function prepareMatching(orm: Orm) {
  const countUpToLimit = (those: SQL) =>
    orm
      .select({ count: sql<number>`count(*)` })
      .from(sql`(SELECT 1 FROM ${those} LIMIT ${sql.raw(String(MATCHING_RUNNERS_LIMIT))})`)
      .prepare()
  const onlineFirst = sql`runners INDEXED BY idx_runners_heartbeat`
  const countAble = countUpToLimit(sql`${wanted} CROSS JOIN ${onlineFirst} WHERE ${isAble}`)
  /** Most runs demand nothing, which takes 4 µs to tell instead of 6. */
  const countUndemanding = countUpToLimit(
    sql`${onlineFirst} WHERE ${isOnline(sql`${param('stale_before')}`)} AND ${takesUntagged}`,
  )
  const ableFirst = orm
    .select(runnerColumns)
    .from(runners)
    .innerJoin(wanted, sql`true`)
    .orderBy(desc(sql`(${isAble})`), desc(runners.last_heartbeat), asc(runners.runner_id))
    .limit(atMost(INSIGHT_LIMIT))
    .prepare()

  /** Up to {@link INSIGHT_LIMIT}, whether they could take it or not. */
  const runnersFor = (demands: Demands | null, stale_before: Timestamp): Runner[] =>
    ableFirst.all({ ...wantedBy(demands), stale_before })

  return {
    runners: runnersFor,

    /** In one transaction: demands that come again, as in a batch, are not looked at again. */
    at(now: Timestamp, stale_before: Timestamp = '') {
      const counts = new Map<string, number>()

      /** Up to {@link MATCHING_RUNNERS_LIMIT}. */
      function countOf(demands: Demands | null): number {
        const key = JSON.stringify(demands)
        const known = counts.get(key)
        if (known !== undefined) return known
        const found =
          demands === null
            ? countUndemanding.get({ stale_before })
            : countAble.get({ ...wantedBy(demands), stale_before })
        const count = found?.count ?? 0
        counts.set(key, count)
        return count
      }

      return {
        count: countOf,
        /** @throws QueueError unmatchable, where the run asked for that */
        countFor({ reject_if_unmatchable }: NewRun, demands: Demands | null): number {
          const able = countOf(demands)
          if (able > 0 || !reject_if_unmatchable) return able
          const runners = runnersFor(demands, stale_before)
          throw unmatchable(demands, rankRunners(runners, demands, stale_before), now)
        },
      }
    },
  }
}

export type MatchingNow = ReturnType<Matching['at']>

function wantedBy(demands: Demands | null) {
  const { hostname, project_dir, executor_type, executor_profile, tags = [] } = demands ?? {}
  return {
    hostname: hostname ?? null,
    project_dir: project_dir ?? null,
    executor_type: executor_type ?? null,
    executor_profile: executor_profile ?? null,
    tags: JSON.stringify(tags),
    first_tag: tags.length === 0 ? '' : JSON.stringify(tags[0]),
  }
}
