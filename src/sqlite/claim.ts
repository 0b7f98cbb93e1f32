/**
 * The claim: one UPDATE … RETURNING that costs the same with any number of pending, finished or
 * unmatched runs.
 *
 * Walking the pending runs by age and filtering is right but blocks: 100 000 runs that the runner
 * cannot take cost tens of milliseconds a poll, on the only thread. Instead `demand_key` states a
 * run's demands as a JSON array, `["host","dir","type","profile","tag",…]`, and idx_runs_claim keeps
 * the pending runs in the order of these keys. As text they form a trie: keys that begin alike
 * stand together. The statement hops through that index, one seek a hop:
 * - a key whose every part the runner offers is a candidate; the next hop goes just past it;
 * - in any other key the first part that the runner does not offer decides: the next hop goes past
 *   all keys that share the beginning, to the least part there which the runner does offer.
 * So the number of hops depends on what the runner offers, not on how many demands it cannot meet.
 * Of each candidate key the index gives the head (priority, age), and of these the best is taken.
 */
import { asc, desc, sql } from '../drizzle.ts'
import { because } from '../queue/cause.ts'
import { type ClaimedRun, isTerminal, type Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import { CLAIM_LIMIT, type Claim } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Orm } from './database.ts'
import { released } from './moves.ts'
import { runs } from './schema.ts'
import { atMost, claimedRunColumns, movedColumns, param, statusIn } from './statements.ts'

/** INDEXED BY: a plan without this index would be wrong, so it fails loudly instead. */
export const pendingRuns = sql.raw(
  `runs INDEXED BY idx_runs_claim WHERE status = 'pending' AND available_at IS NULL`,
)

/** The key of runs that demand nothing, which most are: told from others without looking inside. */
const NO_DEMANDS = '["","","",""]'

/**
 * The place of the first part of `demanded.key` that the runner does not offer; NULL: it has all.
 * A table-valued function holds it as `missing.value`, so that each hop finds it out once.
 */
const lacking = sql.raw(`
  iif(demanded.key = '${NO_DEMANDS}', NULL, (
    SELECT min(part.key) FROM json_each(demanded.key) AS part
    WHERE NOT EXISTS (
      SELECT 1 FROM offer
      WHERE offer.place = min(part.key, 4) AND offer.quoted = json_quote(part.value))))`)

/**
 * Where the next hop goes: the least key, after the one found, that the runner may meet.
 * `]` sorts after `,`, so a key that is just the shared beginning comes after its longer ones.
 * max() keeps the hops going forward even over a key that is not canonical.
 */
const nextKey = sql`
  max(demanded.key || '!', coalesce((
    SELECT '[' || concat_ws(',', beginning, following) || iif(following IS NULL, ']', '')
    FROM (SELECT
      (SELECT group_concat(json_quote(value)) FROM json_each(demanded.key)
       WHERE key < missing.value) AS beginning,
      (SELECT min(quoted) FROM offer
       WHERE offer.place = min(missing.value, 4)
         AND quoted > json_quote(json_extract(demanded.key, '$[' || missing.value || ']'))
      ) AS following
      WHERE missing.value IS NOT NULL)), ''))`

/** The best of what the runner offers enough for. */
const bestByHops = sql`
  (WITH RECURSIVE
    runner AS MATERIALIZED (
      SELECT * FROM runners
      WHERE runner_id = ${sql.placeholder('runner_id')} AND deregistered_at IS NULL),
    -- What may stand at each place of a key: 0 to 3 the properties (or none), from 4 on the tags.
    offer(place, quoted) AS MATERIALIZED (
      SELECT place, json_quote(value) FROM (
        SELECT 0 AS place, hostname AS value FROM runner
        UNION ALL SELECT 1, project_dir FROM runner
        UNION ALL SELECT 2, executor_type FROM runner
        UNION ALL SELECT 3, executor_profile FROM runner
        UNION ALL VALUES (0, ''), (1, ''), (2, ''), (3, '')
        UNION ALL SELECT 4, tag.value FROM runner, json_each(runner.tags) AS tag)
      WHERE value IS NOT NULL),
    -- Each hop says where it came from, if the runner offers all of that.
    demanded(key, satisfied) AS (
      SELECT (SELECT demand_key FROM ${pendingRuns} ORDER BY demand_key LIMIT 1), NULL FROM runner
      UNION ALL
      SELECT (SELECT demand_key FROM ${pendingRuns} AND demand_key >= ${nextKey}
              ORDER BY demand_key LIMIT 1),
             iif(missing.value IS NULL, demanded.key, NULL)
      FROM demanded CROSS JOIN json_each(json_array(${lacking})) AS missing
      WHERE demanded.key IS NOT NULL)
  SELECT head.seq
  FROM demanded CROSS JOIN runs AS head ON head.seq = (
    SELECT seq FROM ${pendingRuns} AND demand_key = demanded.satisfied
    ORDER BY priority DESC, created_at, seq LIMIT 1)
  WHERE demanded.satisfied IS NOT NULL
    AND (json_array_length(demanded.satisfied) > 4
      OR NOT (SELECT require_matching_tags FROM runner))
  ORDER BY head.priority DESC, head.created_at, head.seq
  LIMIT 1)`

const endOfKeys = (end: 'ASC' | 'DESC') =>
  sql`(SELECT demand_key FROM ${pendingRuns} ORDER BY demand_key ${sql.raw(end)} LIMIT 1)`

/**
 * The seq of the run that the runner gets; NULL where there is none.
 * While no pending run demands anything, which two seeks tell, the first of them is it: the hops
 * need tables of their own, which SQLite makes and drops for each claim.
 */
export const bestMatch = sql`
  (CASE WHEN ${endOfKeys('ASC')} = '${sql.raw(NO_DEMANDS)}' AND ${endOfKeys('DESC')} = '${sql.raw(NO_DEMANDS)}'
  THEN (
    SELECT seq FROM ${pendingRuns} AND demand_key = '${sql.raw(NO_DEMANDS)}'
      AND EXISTS (
        SELECT 1 FROM runners
        WHERE runner_id = ${sql.placeholder('runner_id')} AND deregistered_at IS NULL
          AND NOT require_matching_tags)
    ORDER BY priority DESC, created_at, seq LIMIT 1)
  ELSE ${bestByHops} END)`

export type Claims = ReturnType<typeof prepareClaims>

export function prepareClaims(orm: Orm) {
  const claimBest = orm
    .update(runs)
    .set({
      status: 'claimed',
      runner_id: param('runner_id'),
      claim_token: param('claim_token'),
      claim_key: param('claim_key'),
      claimed_at: param('now'),
      attempt: sql`attempt + 1`,
      updated_at: param('now'),
      ...because('claimed', 'runner'),
    })
    .where(sql`seq = ${bestMatch} AND status = 'pending' AND available_at IS NULL`)
    .returning(claimedRunColumns)
    .prepare()

  const claimedWithKey = orm
    .select(claimedRunColumns)
    .from(runs)
    .where(sql`claim_key = ${param('claim_key')} AND +runner_id = ${param('runner_id')}`)
    .orderBy(desc(runs.priority), asc(runs.created_at), asc(runs.seq))
    .limit(atMost(CLAIM_LIMIT))
    .prepare()

  const release = orm
    .update(runs)
    .set(released(because('claim_released', 'service')))
    .where(
      sql`run_id = ${param('run_id')} AND claim_token = ${param('claim_token')}
        AND ${statusIn(TRANSITIONS.release.from)}`,
    )
    .returning(movedColumns)
    .prepare()

  /** The answer of the first claim with this key was lost: what it claimed and still holds. */
  function repeated({ claim_key, runner_id }: Claim): ClaimedRun[] | null {
    if (claim_key === null) return null
    const claimed = claimedWithKey.all({ claim_key, runner_id })
    return claimed.length === 0 ? null : claimed.filter((run) => !isTerminal(run.status))
  }

  return {
    claim(claim: Claim, now: Timestamp): ClaimedRun[] {
      const before = repeated(claim)
      if (before) return before
      const { runner_id, claim_key } = claim
      const claimed: ClaimedRun[] = []
      for (const claim_token of claim.tokens.slice(0, claim.limit)) {
        const run = claimBest.get({ runner_id, claim_key, claim_token, now })
        if (!run) break
        claimed.push(run)
      }
      return claimed
    },

    release: (run_id: string, claim_token: string, now: Timestamp): RunChange[] =>
      release.all({ run_id, claim_token, now }).map(changeOf),
  }
}
