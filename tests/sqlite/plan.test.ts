/** No statement walks or sorts a table: what a call costs does not grow with what is stored. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/sqlite/driver.ts'
import { openWorld } from '../conformance/world.ts'
import { everyOperation } from '../support/operations.ts'
import { tempDir } from '../support/temp-dir.ts'
import { explain, openRecorded, type RecordedEngine } from './recorder.ts'

/** Steps that walk or sort rows, and may: a statement of this operation, for this reason. */
const ALLOWED: { operation: string; step: RegExp; reason: string }[] = [
  ...['claim', 'overview.demandGroups'].map((operation) => ({
    operation,
    step: /^SCAN runs USING INDEX idx_runs_claim$/,
    reason: 'reads only the head of the index: LIMIT 1',
  })),
  {
    operation: 'claim',
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    reason:
      'sorts one head for each distinct demand that the runner meets; of a repeated claim its at most 100 runs',
  },
  ...['insight.explainRun', 'insight.explainRunner'].flatMap((operation) => [
    {
      operation,
      step: /^SCAN runs USING INDEX idx_runs_claim$/,
      reason: 'reads only the head of the index, as the claim does: LIMIT 1',
    },
    {
      operation,
      step: /^USE TEMP B-TREE FOR ORDER BY$/,
      reason: 'sorts the heads that the claim sorts',
    },
  ]),
  ...['insight.explainRun', 'add that is unmatchable'].map((operation) => ({
    operation,
    step: /^SCAN runners$|^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'runners are few',
  })),
  {
    operation: 'settleUnconfirmedStops',
    step: /^SCAN sessions USING INDEX idx_sessions_stopping$/,
    reason: 'a partial index of the few sessions that are being stopped',
  },
  ...['recover', 'runners.remove'].map((operation) => ({
    operation,
    step: /^SCAN runs USING COVERING INDEX idx_runs_stopping$/,
    reason: 'a partial index of the few runs that are being stopped',
  })),
  {
    operation: 'pending',
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'a list for people; the claim order across all demands has no index of its own',
  },
  {
    operation: 'active',
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'held runs are as few as runners can hold',
  },
  {
    operation: 'sessionFeed.read',
    step: /^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'sorts the at most 50 changes of a page',
  },
  {
    operation: 'runners.list',
    step: /^SCAN runners$|^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'runners are few',
  },
  {
    operation: 'tokens.find',
    step: /^SCAN tokens USING COVERING INDEX (tokens_token_hash_unique|sqlite_autoindex_tokens_1)$/,
    reason: 'reads only whether there is a first',
  },
  {
    operation: 'metrics.read',
    step: /^SCAN (runners|counters)\b|^SCAN runs USING INDEX idx_runs_claim$/,
    reason: 'runners and counters are few; of pending runs only the first is read: LIMIT 1',
  },
  ...['metrics.read', 'metrics.fold'].map((operation) => ({
    operation,
    step: /^USE TEMP B-TREE FOR GROUP BY$/,
    reason: 'sorts as many events as one fold takes, or a reader looks through',
  })),
  ...['tokens.list', 'tokens.revoke'].map((operation) => ({
    operation,
    step: /^SCAN tokens$|^USE TEMP B-TREE FOR ORDER BY$/,
    reason: 'tokens are few, made by hand',
  })),
]

/** Not tables: rows of the statement itself, and JSON values. */
const TRANSIENT =
  /^SCAN (\d+ )?(CONSTANT ROWS?|\(subquery-\d+\)|\d+-ROW VALUES CLAUSE|runner|offer|demanded|missing|heads|edge|probed|looked|ancestors|given|looked_at|request|changes|sized|batch|timed|head|keys|wanted|\S+ VIRTUAL TABLE.*)$/
const TABLES =
  'runs|head|other|event|earlier|sessions|parent|child|counters|run_events|session_events|session_changes|callbacks|waiting|runner_signals|runners|tokens'
const walks = (step: string) =>
  (step.startsWith('SCAN') && !TRANSIENT.test(step)) ||
  step.includes('TEMP B-TREE') ||
  new RegExp(`^SEARCH (${TABLES}) USING AUTOMATIC`).test(step)

/** Some thousands of rows of every kind, most of them ended, as in a database that was used. */
function fill(client: Client): void {
  const numbers = 'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4000)'
  const at = `strftime('%Y-%m-%dT%H:%M:%fZ', '2026-01-31', i || ' seconds')`
  const runner = `'lnch_' || (i % 40)`
  client.exec(`BEGIN;
    INSERT INTO sessions (session_id, status, created_at, updated_at, runner_id)
    ${numbers} SELECT 'ses_' || i, iif(i % 5, 'finished', 'idle'), ${at}, ${at}, ${runner} FROM n;
    INSERT INTO runs (run_id, session_id, type, parameters, demands, priority, status, runner_id,
      claim_key, claimed_at, started_at, completed_at, timeout_at, created_at, updated_at)
    ${numbers} SELECT 'run_' || i, 'ses_' || i, 'start_session', '{"prompt":"x"}',
      json_object('hostname', 'host-' || (i % 200), 'tags', json_array('tag-' || (i % 3))),
      i % 3, iif(i % 8 = 0, 'pending', iif(i % 100 = 1, 'running', 'completed')),
      iif(i % 8 = 0, NULL, ${runner}), iif(i % 8 = 0, NULL, 'key-' || i), ${at}, ${at}, ${at},
      iif(i % 8 = 0, strftime('%Y-%m-%dT%H:%M:%fZ', '2027-01-31', i || ' seconds'), NULL),
      ${at}, ${at} FROM n;
    INSERT INTO session_events (session_seq, run_id, event_type, timestamp, payload)
    ${numbers} SELECT i, 'run_' || i, 'message', ${at}, '{}' FROM n;
    COMMIT`)
}

interface Step {
  operation: string
  step: string
  sql: string
}

async function allSteps(prepare: (client: Client) => void): Promise<Step[]> {
  const url = join(tempDir(), 'queue.db')
  const engine: RecordedEngine = await openRecorded(url)
  const world = await openWorld(async () => ({
    open: async () => engine,
    opener: { module: '', url },
    cleanup: async () => {},
  }))
  prepare(engine.client)
  engine.takeRan()
  const seen = new Set<string>()
  const steps: Step[] = []
  await everyOperation(world, async (operation, work) => {
    engine.takeRan()
    await work()
    for (const ran of engine.takeRan()) {
      if (isTransactionControl(ran.sql)) continue
      seen.add(ran.sql)
      for (const step of explain(engine, ran)) steps.push({ operation, step, sql: ran.sql })
    }
  })
  const unseen = [...engine.prepared].filter((sql) => !seen.has(sql) && !isNoStatement(sql))
  expect(unseen, 'statements that no operation of this test ran').toEqual([])
  const anew = [...engine.prepared].filter((sql) => /\blimit \?/i.test(sql))
  expect(anew, 'statements that SQLite plans at each run: see atMost').toEqual([])
  return steps
}

const isTransactionControl = (sql: string) => /^(BEGIN|COMMIT|SAVEPOINT|RELEASE|ROLLBACK)/.test(sql)
const isNoStatement = (sql: string) => isTransactionControl(sql) || /^(EXPLAIN|PRAGMA)/.test(sql)

const analyze = (client: Client) => void client.exec('ANALYZE')
const CONDITIONS: [string, (client: Client) => void][] = [
  ['in an empty database', () => {}],
  ['in an empty database that was analyzed', analyze],
  ['among thousands of rows', fill],
  [
    'among thousands of rows that were analyzed',
    (client) => {
      fill(client)
      analyze(client)
    },
  ],
]

const allowance = ({ operation, step }: Step) =>
  ALLOWED.find((allowed) => allowed.operation === operation && allowed.step.test(step))

describe('the plan of every statement', () => {
  it.each(CONDITIONS)('%s seeks', async (_, prepare) => {
    const walking = (await allSteps(prepare)).filter(({ step }) => walks(step))
    expect(walking.filter((step) => !allowance(step))).toEqual([])
  })

  it('needs all that is allowed', async () => {
    const steps: Step[] = []
    for (const [, prepare] of CONDITIONS) steps.push(...(await allSteps(prepare)))
    const used = steps.filter(({ step }) => walks(step)).map(allowance)
    expect(ALLOWED.filter((allowed) => !used.includes(allowed))).toEqual([])
  })

  it('would show a statement that walks a table', async () => {
    const engine = await openRecorded(join(tempDir(), 'queue.db'))
    const stepsOf = (sql: string) => explain(engine, { sql, parameters: [] }).filter(walks)
    expect(stepsOf('SELECT * FROM runs WHERE error IS NULL')).toHaveLength(1)
    expect(stepsOf("SELECT * FROM sessions WHERE status = 'stopping' AND seq > 1")).toEqual([])
    expect(stepsOf('SELECT * FROM sessions ORDER BY updated_at')).toHaveLength(2)
    await engine.close()
  })

  it('of a cascade seeks too: every foreign key has an index', async () => {
    const { client, close } = await openRecorded(join(tempDir(), 'queue.db'))
    const unindexed = client.prepare(`
      SELECT tables.name || '.' || keys."from"
      FROM sqlite_schema AS tables, pragma_foreign_key_list(tables.name) AS keys
      WHERE tables.type = 'table' AND NOT EXISTS (
        SELECT 1 FROM pragma_index_list(tables.name) AS indexes, pragma_index_info(indexes.name) AS first
        WHERE first.seqno = 0 AND first.name = keys."from" AND NOT indexes.partial)`)
    expect(unindexed.pluck().all()).toEqual([])
    await close()
  })
})
