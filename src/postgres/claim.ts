/**
 * The claim: one statement that costs the same with any number of pending, finished or unmatched
 * runs, and in which claimers do not wait for one another.
 *
 * It stands in the database, as the function `claim` (drizzle/postgres/0002_insight.sql), so that the
 * claims that come at one moment can go together: each in turn, and one commit for all.
 *
 * `demand_key` states a run's demands as `{host,dir,type,profile,tag,…}`, and idx_runs_claim keeps
 * the claimable runs in the order of these keys, so that keys which begin alike stand together. The
 * function hops through that index, one seek a hop:
 * - a key whose every part the runner offers is a candidate; the next hop goes just past it;
 * - in any other key the first part that the runner does not offer decides: the next hop goes past
 *   all keys that share the beginning, to the least that may follow with what the runner does offer.
 * So the number of hops depends on what the runner offers, not on how many demands it cannot meet.
 * Of each candidate key the index gives the first few (priority, age). These are tried in order,
 * until as many as are wanted could be locked; those that another claim has locked are passed over.
 */
import { setTimeout } from 'node:timers/promises'
import { sql } from '../drizzle.ts'
import { because } from '../queue/cause.ts'
import type { QueueError } from '../queue/errors.ts'
import { type ClaimedRun, isTerminal, type Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Claim } from '../queue/run-queue.ts'
import { TRANSITIONS } from '../queue/transitions.ts'
import type { Connection, Database } from './database.ts'
import { released } from './moves.ts'
import { asCaller, type Refusal, refusalError } from './ownership.ts'
import { runs } from './schema.ts'
import {
  json,
  movedColumns,
  orm,
  param,
  prepared,
  runFields,
  Statement,
  statusAmong,
  storedText,
  textParam,
} from './statements.ts'
import { Together } from './together.ts'

/** How many runs of a key are looked at beyond those wanted: others may hold the first ones … */
const SPARE = 16
/** … and how often it is looked again, further and after a moment, where others held them all. */
const LOOKS = 5
const LOOK_DELAY_MS = 2

export const claimable = sql.raw(`status = 'pending' AND available_at IS NULL`)

/** What a claim of the runner would get now. */
export const findNext = new Statement<{ run_id: string }>(sql`
  SELECT run_id
  FROM candidates(ARRAY[${textParam('runner_id')}], ARRAY[1], 0) WITH ORDINALITY AS candidates
  JOIN runs USING (seq)
  ORDER BY ordinality LIMIT 1`)

const claims = new Statement<
  ClaimedRun & { place: number; refused: Refusal | null; held: boolean }
>(sql`
  SELECT place, refused, held, ${runFields('claimed')}, claimed.claim_token, claimed.traceparent
  FROM (
    SELECT place, refused, held, (run).*, (run).parameters ->> 'prompt' AS prompt
    FROM claim(${param('asked')}, ${param('spare')})) AS claimed`)

const release = prepared(
  orm
    .update(runs)
    .set(released(because('claim_released', 'service')))
    .where(
      sql`run_id = ${param('run_id')} AND claim_token = ${param('claim_token')}
        AND ${statusAmong(TRANSITIONS.release.from)}`,
    )
    .returning(movedColumns),
)

interface Asked {
  claim: Claim
  now: Timestamp
  /** How many runs of a key it looks at beyond those wanted. */
  spare: number
}

/** `held`: others have locked all that was seen, or get what is asked for: it may help to look again. */
type Answer = ClaimedRun[] | 'held' | QueueError

const askedOf = ({ claim, now }: Asked, waits: boolean) => ({
  runner_id: claim.runner_id,
  ...asCaller(claim.caller),
  wanted: waits ? 0 : claim.limit,
  tokens: claim.tokens.slice(0, claim.limit),
  claim_key: claim.claim_key,
  now,
})

/**
 * Of one key only the first claims, as if the others came when it is done: a statement does not see
 * what it did for one of them.
 */
function isRepeated(batch: Asked[]): boolean[] {
  const met = new Set<string>()
  return batch.map(({ claim: { runner_id, claim_key } }) => {
    if (claim_key === null) return false
    const mark = storedText(`${runner_id} ${claim_key}`)
    return met.size === met.add(mark).size
  })
}

async function claimTogether(on: Connection, batch: Asked[]): Promise<Answer[]> {
  const waits = isRepeated(batch)
  const rows = await claims.all(on, {
    asked: json(batch.map((one, at) => askedOf(one, waits[at] === true))),
    spare: Math.max(...batch.map(({ spare }) => spare)),
  })
  const answers: Answer[] = waits.map((waits) => (waits ? 'held' : []))
  for (const { place, refused, held, ...run } of rows) {
    const answer = answers[place - 1]
    if (refused) answers[place - 1] = refusalError(refused, batch[place - 1]?.claim.runner_id ?? '')
    else if (held) answers[place - 1] = 'held'
    else if (Array.isArray(answer)) answer.push(run)
    on.wrote ||= run.run_id !== null
  }
  return answers
}

export type Claims = ReturnType<typeof createClaims>

export function createClaims(database: Database) {
  const together = new Together((batch: Asked[]) => database.run((on) => claimTogether(on, batch)))

  return {
    async claim(claim: Claim, now: Timestamp): Promise<ClaimedRun[]> {
      for (let looks = 0; looks < LOOKS; looks += 1) {
        if (looks > 0) await setTimeout(Math.random() * LOOK_DELAY_MS * 2 ** looks)
        const answer = await together.ask({ claim, now, spare: SPARE * 4 ** looks })
        if (answer === 'held') continue
        if (!Array.isArray(answer)) throw answer
        // Of a claim that is repeated by its key, what has ended since is left out.
        return answer.filter((run) => !isTerminal(run.status))
      }
      return []
    },

    release: (run_id: string, claim_token: string, now: Timestamp): Promise<RunChange[]> =>
      database.run(async (on) =>
        (await release.all(on, { run_id, claim_token, now })).map(changeOf),
      ),
  }
}
