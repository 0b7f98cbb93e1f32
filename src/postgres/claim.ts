/**
 * The claim: one statement that costs the same with any number of pending, finished or unmatched
 * runs, and in which claimers do not wait for one another.
 *
 * `demand_key` states a run's demands as `{host,dir,type,profile,tag,…}`, and idx_runs_claim keeps
 * the claimable runs in the order of these keys, so that keys which begin alike stand together. The
 * statement hops through that index, one seek a hop:
 * - a key whose every part the runner offers is a candidate; the next hop goes just past it;
 * - in any other key the first part that the runner does not offer decides: the next hop goes past
 *   all keys that share the beginning, to the least that may follow with what the runner does offer.
 * So the number of hops depends on what the runner offers, not on how many demands it cannot meet.
 * Of each candidate key the index gives the first few (priority, age). These are tried in order,
 * until as many as are wanted could be locked; those that another claim has locked are passed over.
 */
import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { asc, desc, sql } from 'drizzle-orm'
import { because } from '../queue/cause.ts'
import { type ClaimedRun, isTerminal, type Timestamp } from '../queue/run.ts'
import { CLAIM_LIMIT, type Claim } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Connection, Database } from './database.ts'
import { released } from './moves.ts'
import { runs } from './schema.ts'
import {
  orm,
  param,
  prepared,
  preparedChange,
  runColumns,
  runFields,
  runnerIs,
  Statement,
  statusAmong,
  textParam,
} from './statements.ts'

/** How many runs of a key are looked at beyond those wanted: others may hold the first ones … */
const SPARE = 16
/** … and how often it is looked again, further and after a moment, where others held them all. */
const LOOKS = 5
const LOOK_DELAY_MS = 2

export const claimable = sql.raw(`status = 'pending' AND available_at IS NULL`)
/** The key of runs that demand nothing, which most are: told from others without looking inside. */
const NO_DEMANDS = sql.raw(`'{"","","",""}'`)
/** The last part of a key that leaves tags out, as many would not fit in an index. */
const MORE = sql.raw(`U&'\\+10FFFF'`)

/** The place of the first part of `found.key` that the runner does not offer; NULL: it has all. */
const lacking = sql`
  CASE WHEN found.key = ${NO_DEMANDS} THEN NULL ELSE (
    SELECT min(place) FROM unnest(found.key) WITH ORDINALITY AS part(value, place)
    WHERE NOT EXISTS (
      SELECT 1 FROM offer WHERE offer.place = least(part.place, 5) AND offer.part = part.value)) END`

/**
 * Where the next hop goes: the least key, after the one found, that the runner may meet. It differs
 * from this one as late as it can; nothing comes between a key and the same key with '' behind it.
 */
const nextKey = sql`
  CASE WHEN demanded.missing IS NULL THEN demanded.key || ''::text ELSE (
    SELECT demanded.key[:turn.place - 1] || turn.part
    FROM (
      SELECT place, (
        SELECT min(part) FROM offer
        WHERE offer.place = least(places.place, 5)
          AND offer.part > demanded.key[places.place] COLLATE "C") AS part
      FROM generate_series(1, demanded.missing::int) AS places(place)) AS turn
    WHERE turn.part IS NOT NULL
    ORDER BY turn.place DESC LIMIT 1) END`

/** `candidates`: what the runner may take, the first few runs of each demand, best first. */
const candidates = sql`
  WITH RECURSIVE
    runner AS MATERIALIZED (
      SELECT * FROM runners WHERE runner_id = ${param('runner_id')} AND deregistered_at IS NULL),
    -- What may stand at each place of a key: 1 to 4 the properties (or none), from 5 on the tags.
    offer(place, part) AS MATERIALIZED (
      SELECT place, key_part(value) COLLATE "C" FROM (
        SELECT 1 AS place, hostname AS value FROM runner
        UNION ALL SELECT 2, project_dir FROM runner
        UNION ALL SELECT 3, executor_type FROM runner
        UNION ALL SELECT 4, executor_profile FROM runner
        UNION ALL VALUES (1, ''), (2, ''), (3, ''), (4, ''), (5, ${MORE})
        UNION ALL SELECT 5, tag FROM runner, jsonb_array_elements_text(runner.tags) AS tag
      ) AS offered
      WHERE value IS NOT NULL),
    demanded(key, missing) AS (
      SELECT found.key, ${lacking}
      FROM runner CROSS JOIN LATERAL (
        SELECT demand_key AS key FROM runs WHERE ${claimable}
        ORDER BY demand_key COLLATE "C" LIMIT 1) AS found
      UNION ALL
      SELECT found.key, ${lacking}
      FROM demanded CROSS JOIN LATERAL (
        SELECT demand_key AS key FROM runs
        WHERE ${claimable} AND demand_key COLLATE "C" >= ${nextKey}
        ORDER BY demand_key COLLATE "C" LIMIT 1) AS found),
    candidates AS MATERIALIZED (
      SELECT head.seq, head.priority, head.created_at, demanded.key
      FROM demanded CROSS JOIN LATERAL (
        SELECT seq, priority, created_at FROM runs
        WHERE ${claimable} AND demand_key COLLATE "C" = demanded.key
          AND (demanded.key[cardinality(demanded.key)] <> ${MORE}
            OR demands -> 'tags' <@ (SELECT tags FROM runner))
        ORDER BY priority DESC, created_at, seq LIMIT ${param('depth')}) AS head
      WHERE demanded.missing IS NULL
        AND (cardinality(demanded.key) > 4 OR NOT (SELECT require_matching_tags FROM runner))
      ORDER BY head.priority DESC, head.created_at, head.seq)`

/** The rows of `candidates` come in their order, and the join locks one by one until the LIMIT. */
const claimBest = new Statement<ClaimedRun & { seen: number }>(sql`
  ${candidates},
    picked AS MATERIALIZED (
      SELECT locked.seq, candidates.priority, candidates.created_at
      FROM candidates CROSS JOIN LATERAL (
        SELECT seq FROM runs
        WHERE runs.seq = candidates.seq AND ${statusAmong(TRANSITIONS.claim.from)}
          AND available_at IS NULL AND demand_key = candidates.key
        FOR UPDATE SKIP LOCKED) AS locked
      LIMIT ${param('limit')}),
    -- Its removal waits for this claim, and then settles it; or came first, and nothing is claimed.
    holder AS MATERIALIZED (
      SELECT runner_id FROM runners
      WHERE runner_id = ${param('runner_id')} AND deregistered_at IS NULL
        AND EXISTS (SELECT 1 FROM picked)
      FOR KEY SHARE),
    numbered AS (
      SELECT seq, row_number() OVER (ORDER BY priority DESC, created_at, seq) AS place FROM picked),
    claimed AS (
      UPDATE runs SET
        status = 'claimed',
        runner_id = holder.runner_id,
        claim_token = (${param('tokens')}::text[])[numbered.place],
        claim_key = ${textParam('claim_key')},
        claimed_at = ${textParam('now')},
        attempt = attempt + 1,
        updated_at = ${textParam('now')},
        cause = 'claimed',
        changed_by = 'runner'
      FROM numbered, holder
      WHERE runs.seq = numbered.seq
      RETURNING runs.*, parameters ->> 'prompt' AS prompt, numbered.place)
  SELECT ${runFields('claimed')}, claimed.claim_token, claimed.traceparent, seen.count AS seen
  FROM (SELECT count(*) FROM candidates) AS seen LEFT JOIN claimed ON true
  ORDER BY claimed.place`)

/** What a claim of the runner would get now. */
export const findNext = new Statement<{ run_id: string }>(sql`
  ${candidates}
  SELECT run_id FROM candidates JOIN runs USING (seq)
  ORDER BY candidates.priority DESC, candidates.created_at, candidates.seq LIMIT 1`)

const claimedWithKey = prepared(
  orm
    .select({ ...runColumns, claim_token: sql<string>`claim_token`, traceparent: runs.traceparent })
    .from(runs)
    .where(sql`claim_key = ${param('claim_key')} AND ${runnerIs}`)
    .orderBy(desc(runs.priority), asc(runs.created_at), asc(runs.seq))
    .limit(CLAIM_LIMIT),
)

const lockClaimKey = preparedChange(sql`SELECT pg_advisory_xact_lock(${param('lock')}::bigint)`)

const release = preparedChange(
  orm
    .update(runs)
    .set(released(because('claim_released', 'service')))
    .where(
      sql`run_id = ${param('run_id')} AND claim_token = ${param('claim_token')}
        AND ${statusAmong(TRANSITIONS.release.from)}`,
    ),
)

/** Where others held every run that was seen, they may have let one go, or more may follow. */
async function claimNow(on: Connection, claim: Claim, now: Timestamp): Promise<ClaimedRun[]> {
  const { runner_id, claim_key, limit } = claim
  const given = { runner_id, claim_key, limit, tokens: claim.tokens.slice(0, limit), now }
  for (let looks = 1; ; looks += 1) {
    const depth = limit + SPARE * 4 ** (looks - 1)
    const rows = await claimBest.all(on, { ...given, depth })
    const claimed = rows.flatMap(({ seen: _, ...run }) => (run.run_id === null ? [] : [run]))
    if (claimed.length > 0) {
      on.wrote = true
      return claimed
    }
    if (!rows[0]?.seen || looks === LOOKS) return []
    await setTimeout(Math.random() * LOOK_DELAY_MS * 2 ** looks)
  }
}

/**
 * The answer of the first claim with this key was lost: what it claimed and still holds. The lock
 * makes one that is still under way come first.
 */
async function claimOnce(
  on: Connection,
  claim: Claim & { claim_key: string },
  now: Timestamp,
): Promise<ClaimedRun[]> {
  const { claim_key, runner_id } = claim
  await lockClaimKey.run(on, { lock: lockOf(`${runner_id} ${claim_key}`) })
  const before = await claimedWithKey.all(on, { claim_key, runner_id })
  if (before.length > 0) return before.filter((run) => !isTerminal(run.status))
  return await claimNow(on, claim, now)
}

/** A number of 64 bits for a text, as advisory locks have. */
const lockOf = (text: string): string =>
  createHash('sha256').update(text).digest().readBigInt64BE().toString()

export type Claims = ReturnType<typeof createClaims>

export const createClaims = (database: Database) => ({
  async claim(claim: Claim, now: Timestamp): Promise<ClaimedRun[]> {
    const { claim_key } = claim
    if (claim_key === null) return await database.run((on) => claimNow(on, claim, now))
    return await database.transaction((on) => claimOnce(on, { ...claim, claim_key }, now))
  },

  async release(run_id: string, claim_token: string, now: Timestamp): Promise<void> {
    await database.run((on) => release.run(on, { run_id, claim_token, now }))
  },
})
