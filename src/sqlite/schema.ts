/**
 * The tables on SQLite. `drizzle/sqlite` is generated from here (`npm run generate`); the triggers
 * that write `run_events` are a migration of their own, since Drizzle does not model triggers.
 */
import { sql } from '../drizzle.ts'
import { CALLBACK_STATUSES } from '../queue/callback.ts'
import { CAUSES } from '../queue/cause.ts'
import { DEMAND_PROPERTIES, type DemandProperty, type Demands } from '../queue/demands.ts'
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
import { check, index, integer, real, sqliteTable, text, uniqueIndex } from './drizzle.ts'

const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>()
const words = (list: readonly string[]) => sql.raw(list.map((word) => `'${word}'`).join(', '))
/** Where each change is checked: of more than two words in `IN (…)` SQLite builds a table each time. */
const oneOf = (column: string, list: readonly string[]) =>
  sql.raw(list.map((word) => `${column} = '${word}'`).join(' OR '))
const newId = (prefix: string) => sql.raw(`('${prefix}_' || lower(hex(randomblob(6))))`)
/** An unset demand is '' in the key: it is one value like the others, and no real one is empty. */
const wanted = (property: DemandProperty) => `json_quote(coalesce(demands ->> '$.${property}', ''))`

/**
 * What a run demands as one JSON array, `["host","dir","type","profile","tag",…]`: the text that the
 * claim seeks by. SQLite allows no subquery here, so the tags are spliced in as they stand.
 */
const demandKey = sql.raw(
  `'[' || ${DEMAND_PROPERTIES.map(wanted).join(` || ',' || `)} || ` +
    `iif(coalesce(demands ->> '$.tags', '[]') = '[]', ']', ',' || substr(demands ->> '$.tags', 2))`,
)

export const sessions = sqliteTable(
  'sessions',
  {
    seq: integer().primaryKey(),
    session_id: text().notNull().unique(),
    status: text({ enum: SESSION_STATUSES }).notNull(),
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
    // Only what is looked for by runner: an index on all of them would cost each start a page. Two,
    // since polls look for stops only, and the idle sessions of a runner may be many.
    index('idx_sessions_idle').on(table.runner_id).where(sql`status = 'idle'`),
    index('idx_sessions_stopping').on(table.runner_id).where(sql`status = 'stopping'`),
    check('sessions_status', oneOf('status', SESSION_STATUSES)),
  ],
)

export const runs = sqliteTable(
  'runs',
  {
    /** Insertion order, which breaks ties between equal created_at; never reused. */
    seq: integer().primaryKey({ autoIncrement: true }),
    // With defaults, so that plain SQL need not think of ids.
    run_id: text().notNull().unique().default(newId('run')),
    session_id: text()
      .notNull()
      .default(newId('ses'))
      .references(() => sessions.session_id, { onDelete: 'cascade' }),
    type: text({ enum: RUN_TYPES }).notNull().default('start_session'),
    agent_name: text(),
    parameters: json<JsonObject>('parameters').notNull(),
    prompt: text().generatedAlwaysAs(sql`parameters ->> '$.prompt'`, { mode: 'virtual' }),
    scope: json<JsonObject>('scope'),
    project_dir: text(),
    parent_session_id: text(),
    execution_mode: text({ enum: EXECUTION_MODES }).notNull().default('sync'),
    demands: json<Demands>('demands'),
    demand_key: text().generatedAlwaysAs(demandKey, { mode: 'virtual' }),
    priority: integer().notNull().default(0),
    status: text({ enum: RUN_STATUSES }).notNull().default('pending'),
    runner_id: text(),
    error: text(),
    result: json<RunResult>('result'),
    attempt: integer().notNull().default(0),
    max_attempts: integer().notNull().default(1),
    /** The first retry's delay; each further one waits twice as long. NULL: at once. */
    retry_delay_seconds: real(),
    on_lost: text({ enum: ON_LOST }).notNull().default('fail'),
    claim_token: text(),
    claim_key: text(),
    idempotency_key: text(),
    idempotency_fingerprint: text(),
    created_at: text().notNull().default(sql`(strftime('%Y-%m-%dT%H:%M:%fZ'))`),
    claimed_at: text(),
    started_at: text(),
    completed_at: text(),
    /** Until then a pending run is not claimable; NULL as soon as it is. */
    available_at: text(),
    timeout_at: text(),
    /** From which timeout_at is renewed when the run is pending again. */
    timeout_seconds: real(),
    /** When the stop was handed to the runner; handed again if it is not confirmed in time. */
    stop_sent_at: text(),
    updated_at: text().notNull().default(sql`(strftime('%Y-%m-%dT%H:%M:%fZ'))`),
    /** Why it last changed and by whom: what a statement sets here, its event tells. */
    cause: text({ enum: CAUSES }),
    changed_by: text(),
    /** The W3C trace context that it was added in. */
    traceparent: text(),
  },
  (table) => [
    index('idx_runs_status_created').on(table.status, table.created_at),
    index('idx_runs_session').on(table.session_id, table.created_at),
    index('idx_runs_runner')
      .on(table.runner_id, table.created_at)
      .where(sql`runner_id IS NOT NULL`),
    // The claim seeks in this one: claimable runs only, grouped by what they demand, in claim order.
    index('idx_runs_claim')
      .on(table.demand_key, sql`priority DESC`, table.created_at)
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
    check('runs_status', oneOf('status', RUN_STATUSES)),
    check('runs_type', sql`type IN (${words(RUN_TYPES)})`),
    check('runs_execution_mode', oneOf('execution_mode', EXECUTION_MODES)),
    check('runs_on_lost', sql`on_lost IN (${words(ON_LOST)})`),
    check('runs_parameters', sql`json_type(parameters) = 'object'`),
    check(
      'runs_demands',
      sql`demands IS NULL OR (json_type(demands) = 'object' AND coalesce(json_type(demands, '$.tags'), 'array') = 'array')`,
    ),
  ],
)

/**
 * What happened to runs, in order of commit: written by triggers, so that no change is missed.
 * No autoIncrement, which would cost each commit one page more; the newest event is never deleted,
 * so ids do not come back all the same.
 */
export const runEvents = sqliteTable(
  'run_events',
  {
    event_id: integer().primaryKey(),
    run_seq: integer().notNull(),
    at: text().notNull(),
    from_status: text({ enum: RUN_STATUSES }),
    to_status: text({ enum: RUN_STATUSES }).notNull(),
    runner_id: text(),
    /** NULL: by plain SQL, which gives no reason. */
    cause: text({ enum: CAUSES }),
    changed_by: text(),
    attempt: integer().notNull().default(0),
    /** The beginning of the error that an attempt ended with. */
    detail: text(),
  },
  (table) => [index('idx_run_events_run').on(table.run_seq)],
)

/**
 * How children ended whose parents are at work: they are told when those have time. No autoIncrement:
 * since a trigger writes here, each claim would write its sequence, one that gets nothing too.
 */
export const callbacks = sqliteTable(
  'callbacks',
  {
    callback_id: integer().primaryKey(),
    parent_session_id: text()
      .notNull()
      .references(() => sessions.session_id, { onDelete: 'cascade' }),
    child_session_id: text().notNull(),
    child_run_id: text().notNull(),
    status: text({ enum: CALLBACK_STATUSES }).notNull(),
    /** What the parent is told: the child's result, or its error. */
    text: text().notNull(),
    created_at: text().notNull(),
  },
  (table) => [index('idx_callbacks_parent').on(table.parent_session_id, table.callback_id)],
)

/**
 * What changed in sessions, for those who follow them live: written by triggers once somebody did
 * (`counters` tells), and only the latest are kept. The newest is, so that ids do not come back.
 */
export const sessionChanges = sqliteTable('session_changes', {
  change_id: integer().primaryKey(),
  at: text().notNull(),
  kind: text({ enum: [...SESSION_CHANGES, RESUMED] }).notNull(),
  session_id: text().notNull(),
  /** What was told in the session. */
  event_id: integer(),
  /** The session as it was then, or the run that failed. */
  data: json<JsonObject>('data'),
})

/**
 * Runners that have something to hear of beside their runs' stops: their removal, or the stop of an
 * idle session. Written by triggers, read by waiting servers; only the latest are kept.
 */
export const runnerSignals = sqliteTable('runner_signals', {
  signal_id: integer().primaryKey({ autoIncrement: true }),
  runner_id: text().notNull(),
})

export const sessionEvents = sqliteTable(
  'session_events',
  {
    id: integer().primaryKey(),
    /** By seq: events of sessions at hand then stand together, where ids scatter them over all pages. */
    session_seq: integer()
      .notNull()
      .references(() => sessions.seq, { onDelete: 'cascade' }),
    /** The run that was active when the event came. */
    run_id: text(),
    event_type: text().notNull(),
    timestamp: text().notNull(),
    /** Everything else that the event carries. */
    payload: json<Record<string, JsonValue>>('payload').notNull(),
  },
  (table) => [index('idx_session_events_session').on(table.session_seq, table.id)],
)

export const runners = sqliteTable(
  'runners',
  {
    runner_id: text().primaryKey(),
    hostname: text().notNull(),
    project_dir: text().notNull(),
    executor_type: text(),
    executor_profile: text(),
    executor: json<JsonObject>('executor'),
    agents: json<JsonObject[]>('agents'),
    tags: json<string[]>('tags').notNull(),
    require_matching_tags: integer({ mode: 'boolean' }).notNull(),
    registered_at: text().notNull(),
    last_heartbeat: text().notNull(),
    deregistered_at: text(),
    /** The token that registered it, which alone may act for it; NULL where none was needed. */
    token_id: text(),
  },
  (table) => [index('idx_runners_heartbeat').on(table.last_heartbeat)],
)

/** Who may call. Only a hash is kept: the token itself is shown once, when it is made. */
export const tokens = sqliteTable(
  'tokens',
  {
    token_id: text().primaryKey(),
    name: text().notNull(),
    role: text({ enum: TOKEN_ROLES }).notNull(),
    /** SHA-256 of the token, in hex. */
    token_hash: text().notNull().unique(),
    created_at: text().notNull(),
    expires_at: text(),
    revoked_at: text(),
    /** The rate limit's bucket: how full it was, and when. */
    bucket_level: real().notNull().default(0),
    bucket_at: text(),
  },
  () => [check('tokens_role', sql`role IN (${words(TOKEN_ROLES)})`)],
)

/**
 * Numbers that would take a scan to count, kept by triggers: `pending`, the runs that wait. A row is
 * there from when its number was first asked for: until then it costs no commit a page.
 */
export const counters = sqliteTable('counters', {
  name: text().primaryKey(),
  value: integer().notNull(),
})
