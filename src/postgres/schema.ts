/**
 * The tables on PostgreSQL. `drizzle/postgres` is generated from here (`npm run generate`); triggers
 * and functions are a migration of their own, since Drizzle does not model them.
 *
 * They stand in a schema of their own (`runqueue`), which each connection has as its search_path:
 * other programs may use the database too, and `sessions` is a name that many would choose. (What
 * drizzle-kit writes says `"public".` where a table refers to another: that is to be taken out.)
 */
import { sql } from '../drizzle.ts'
import { CALLBACK_STATUSES } from '../queue/callback.ts'
import { CAUSES } from '../queue/cause.ts'
import type { Demands } from '../queue/demands.ts'
import {
  EXECUTION_MODES,
  type JsonObject,
  type JsonValue,
  ON_LOST,
  RUN_STATUSES,
  RUN_TYPES,
  type RunResult,
} from '../queue/run.ts'
import { SESSION_STATUSES } from '../queue/session.ts'
import { RESUMED, SESSION_CHANGES } from '../queue/session-change.ts'
import { TOKEN_ROLES } from '../queue/token.ts'
import {
  bigint,
  boolean,
  check,
  customType,
  doublePrecision,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  uniqueIndex,
} from './drizzle.ts'

/** Text that sorts and compares by its bytes, whatever the database's collation: as times, ids and demands do. */
const text = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })
const word = <W extends string>(_words: readonly W[]) => text().$type<W>()
const textArray = customType<{ data: string[] }>({ dataType: () => 'text[]' })
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })
const pgSnapshot = customType<{ data: string }>({ dataType: () => 'pg_snapshot' })
const seq = () => bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity()

const words = (list: readonly string[]) => sql.raw(list.map((one) => `'${one}'`).join(', '))
// The end of a random UUID, which is random all through.
const newId = (prefix: string) => sql.raw(`'${prefix}_' || right(gen_random_uuid()::text, 12)`)
const timeNow = sql`to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

export const sessions = pgTable(
  'sessions',
  {
    seq: seq(),
    session_id: text().notNull().unique(),
    status: word(SESSION_STATUSES).notNull(),
    created_at: text().notNull(),
    project_dir: text(),
    agent_name: text(),
    last_resumed_at: text(),
    parent_session_id: text(),
    executor_session_id: text(),
    executor_profile: text(),
    /** Executors of the older generation bind with their type instead of a profile. */
    executor_type: text(),
    hostname: text(),
    /** Who served it last: that runner is told when an idle session is to stop. */
    runner_id: text(),
    stop_sent_at: text(),
    updated_at: text().notNull(),
  },
  (table) => [
    index('idx_sessions_idle').on(table.runner_id).where(sql`status = 'idle'`),
    index('idx_sessions_stopping').on(table.runner_id).where(sql`status = 'stopping'`),
    check('sessions_status', sql`status IN (${words(SESSION_STATUSES)})`),
  ],
)

export const runs = pgTable(
  'runs',
  {
    /** Insertion order, which breaks ties between equal created_at; never reused. */
    seq: seq(),
    // With defaults, so that plain SQL need not think of ids.
    run_id: text().notNull().unique().default(newId('run')),
    session_id: text()
      .notNull()
      .default(newId('ses'))
      .references(() => sessions.session_id, { onDelete: 'cascade' }),
    type: word(RUN_TYPES).notNull().default('start_session'),
    agent_name: text(),
    // json, not jsonb: what passes through is kept as it came, the order of its keys too.
    parameters: json().$type<JsonObject>().notNull(),
    scope: json().$type<JsonObject>(),
    project_dir: text(),
    parent_session_id: text(),
    execution_mode: word(EXECUTION_MODES).notNull().default('sync'),
    demands: jsonb().$type<Demands>(),
    /** What is demanded as the claim seeks it: kept by a trigger, which makes demands canonical too. */
    demand_key: textArray().notNull().default(sql`'{"","","",""}'`),
    priority: integer().notNull().default(0),
    status: word(RUN_STATUSES).notNull().default('pending'),
    runner_id: text(),
    error: text(),
    result: json().$type<RunResult>(),
    attempt: integer().notNull().default(0),
    max_attempts: integer().notNull().default(1),
    /** The first retry's delay; each further one waits twice as long. NULL: at once. */
    retry_delay_seconds: doublePrecision(),
    on_lost: word(ON_LOST).notNull().default('fail'),
    claim_token: text(),
    claim_key: text(),
    idempotency_key: text(),
    idempotency_fingerprint: text(),
    created_at: text().notNull().default(timeNow),
    claimed_at: text(),
    started_at: text(),
    completed_at: text(),
    /** Until then a pending run is not claimable; NULL as soon as it is. */
    available_at: text(),
    timeout_at: text(),
    timeout_seconds: doublePrecision(),
    stop_sent_at: text(),
    updated_at: text().notNull().default(timeNow),
    /** Why it last changed and by whom: what a statement sets here, its event tells. */
    cause: word(CAUSES),
    changed_by: text(),
    /** The W3C trace context that it was added in. */
    traceparent: text(),
  },
  (table) => [
    index('idx_runs_status_created').on(table.status, table.created_at, table.seq),
    index('idx_runs_session').on(table.session_id, table.created_at, table.seq),
    index('idx_runs_runner')
      .on(table.runner_id, table.created_at, table.seq)
      .where(sql`runner_id IS NOT NULL`),
    index('idx_runs_claim')
      .on(sql`demand_key COLLATE "C"`, sql`priority DESC`, table.created_at, table.seq)
      .where(sql`status = 'pending' AND available_at IS NULL`),
    index('idx_runs_available')
      .on(table.available_at)
      .where(sql`status = 'pending' AND available_at IS NOT NULL`),
    index('idx_runs_timeout')
      .on(table.timeout_at)
      .where(sql`status = 'pending' AND timeout_at IS NOT NULL`),
    index('idx_runs_stopping').on(table.runner_id).where(sql`status = 'stopping'`),
    index('idx_runs_claim_key').on(table.claim_key).where(sql`claim_key IS NOT NULL`),
    uniqueIndex('idx_runs_idempotency')
      .on(table.idempotency_key)
      .where(sql`idempotency_key IS NOT NULL`),
    check('runs_status', sql`status IN (${words(RUN_STATUSES)})`),
    check('runs_type', sql`type IN (${words(RUN_TYPES)})`),
    check('runs_execution_mode', sql`execution_mode IN (${words(EXECUTION_MODES)})`),
    check('runs_on_lost', sql`on_lost IN (${words(ON_LOST)})`),
    check('runs_parameters', sql`json_typeof(parameters) = 'object'`),
    check(
      'runs_demands',
      sql`demands IS NULL OR (jsonb_typeof(demands) = 'object' AND coalesce(jsonb_typeof(demands -> 'tags'), 'array') = 'array')`,
    ),
  ],
)

/**
 * What happened to runs: written by triggers, so that no change is missed. Ids are given before the
 * commit, so they tell no order of commits; `xid`, the transaction, tells which events are news.
 */
export const runEvents = pgTable(
  'run_events',
  {
    event_id: seq(),
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    run_seq: bigint({ mode: 'number' }).notNull(),
    at: text().notNull(),
    from_status: word(RUN_STATUSES),
    to_status: word(RUN_STATUSES).notNull(),
    runner_id: text(),
    /** NULL: by plain SQL, which gives no reason. */
    cause: word(CAUSES),
    changed_by: text(),
    attempt: integer().notNull().default(0),
    /** The beginning of the error that an attempt ended with. */
    detail: text(),
  },
  (table) => [
    index('idx_run_events_xid').on(table.xid, table.event_id),
    index('idx_run_events_run').on(table.run_seq, table.event_id),
  ],
)

/** How children ended whose parents are at work: they are told when those have time. */
export const callbacks = pgTable(
  'callbacks',
  {
    callback_id: seq(),
    parent_session_id: text()
      .notNull()
      .references(() => sessions.session_id, { onDelete: 'cascade' }),
    child_session_id: text().notNull(),
    child_run_id: text().notNull(),
    status: word(CALLBACK_STATUSES).notNull(),
    /** What the parent is told: the child's result, or its error. */
    text: text().notNull(),
    created_at: text().notNull(),
  },
  (table) => [index('idx_callbacks_parent').on(table.parent_session_id, table.callback_id)],
)

/**
 * What changed in sessions, for those who follow them live: written by triggers once somebody did
 * (`counters` tells), and only the latest are kept.
 */
export const sessionChanges = pgTable(
  'session_changes',
  {
    change_id: seq(),
    /**
     * Its place among all, given after the commit by whoever reads first, so that no lower one
     * becomes visible later.
     */
    sequence: bigint({ mode: 'number' }).unique(),
    at: text().notNull(),
    kind: word([...SESSION_CHANGES, RESUMED]).notNull(),
    session_id: text().notNull(),
    /** What was told in the session. */
    event_id: bigint({ mode: 'number' }),
    /** The session as it was then, or the run that failed. */
    data: json().$type<JsonObject>(),
  },
  (table) => [index('idx_session_changes_new').on(table.change_id).where(sql`sequence IS NULL`)],
)

/**
 * Runners that have something to hear of beside their runs' stops: their removal, or the stop of an
 * idle session. Written by triggers, read by waiting servers; only the latest are kept.
 */
export const runnerSignals = pgTable(
  'runner_signals',
  {
    signal_id: seq(),
    xid: xid8().notNull().default(sql`pg_current_xact_id()`),
    runner_id: text().notNull(),
  },
  (table) => [index('idx_runner_signals_xid').on(table.xid)],
)

export const sessionEvents = pgTable(
  'session_events',
  {
    id: seq(),
    session_seq: bigint({ mode: 'number' })
      .notNull()
      .references(() => sessions.seq, { onDelete: 'cascade' }),
    /** The run that was active when the event came. */
    run_id: text(),
    event_type: text().notNull(),
    timestamp: text().notNull(),
    /** Everything else that the event carries. */
    payload: json().$type<Record<string, JsonValue>>().notNull(),
  },
  (table) => [index('idx_session_events_session').on(table.session_seq, table.id)],
)

export const runners = pgTable(
  'runners',
  {
    runner_id: text().primaryKey(),
    hostname: text().notNull(),
    project_dir: text().notNull(),
    executor_type: text(),
    executor_profile: text(),
    executor: json().$type<JsonObject>(),
    agents: json().$type<JsonObject[]>(),
    tags: jsonb().$type<string[]>().notNull(),
    require_matching_tags: boolean().notNull(),
    registered_at: text().notNull(),
    last_heartbeat: text().notNull(),
    deregistered_at: text(),
    /** The token that registered it, which alone may act for it; NULL where none was needed. */
    token_id: text(),
  },
  (table) => [
    index('idx_runners_registered').on(table.registered_at, table.runner_id),
    index('idx_runners_heartbeat').on(table.last_heartbeat),
  ],
)

/** Who may call. Only a hash is kept: the token itself is shown once, when it is made. */
export const tokens = pgTable(
  'tokens',
  {
    token_id: text().primaryKey(),
    name: text().notNull(),
    role: word(TOKEN_ROLES).notNull(),
    /** SHA-256 of the token, in hex. */
    token_hash: text().notNull().unique(),
    created_at: text().notNull(),
    expires_at: text(),
    revoked_at: text(),
    /** The rate limit's bucket: how full it was, and when. */
    bucket_level: doublePrecision().notNull().default(0),
    bucket_at: text(),
  },
  () => [check('tokens_role', sql`role IN (${words(TOKEN_ROLES)})`)],
)

/**
 * Numbers that would take a scan to count, kept by triggers: `pending`, the runs that wait. Rows are
 * there from when a number was first asked for. It is the sum over the shards: each connection counts
 * in one, since a single row would make every claim wait for the one before.
 */
export const counters = pgTable(
  'counters',
  {
    name: text().notNull(),
    shard: integer().notNull(),
    value: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.name, table.shard] })],
)

/** How far run_events are folded into `counters`, for the metrics: one row. */
export const metricsPosition = pgTable('metrics_position', {
  /** All that is visible in it is folded … */
  snapshot: pgSnapshot().notNull(),
  /** … and of the transaction that it ends with the events up to this one. */
  event_id: bigint({ mode: 'number' }).notNull(),
  /** The last that was folded … */
  newest_event_id: bigint({ mode: 'number' }).notNull(),
  /** … and at the time when the database came from another server, whose transactions are others. */
  floor_event_id: bigint({ mode: 'number' }).notNull(),
})
