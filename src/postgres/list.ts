/** Reading runs. Lists go newest first by (created_at, seq), which is also the cursor. */
import { asc, desc, eq, type SQL, sql } from '../drizzle.ts'
import { cursorText, type Position, parseCursor } from '../queue/cursor.ts'
import {
  ACTIVE_STATUSES,
  HELD_STATUSES,
  RUN_STATUSES,
  type Run,
  type RunStatus,
} from '../queue/run.ts'
import type { RunFilter, RunPage } from '../queue/run-queue.ts'
import type { Connection, Database } from './database.ts'
import { runs } from './schema.ts'
import {
  numberedColumns,
  orm,
  param,
  prepared,
  runColumns,
  runnerIs,
  statusAmong,
  statusIn,
} from './statements.ts'

type ListedRun = Run & { seq: number }

/** Row values compare as one key, which the indexes that end in (created_at, seq) can seek. */
const afterCursor = sql`(created_at, seq) < (${param('cursor_created_at')}, ${param('cursor_seq')})`

const page = (guard: SQL) =>
  prepared(
    orm
      .select(numberedColumns)
      .from(runs)
      .where(sql`${guard} AND ${afterCursor}`)
      .orderBy(desc(runs.created_at), desc(runs.seq))
      .limit(sql.placeholder('limit')),
  )

// A single status walks idx_runs_status_created backwards; several are merged from one walk each,
// since one statement over several would sort all their rows.
const byStatus = new Map(RUN_STATUSES.map((status) => [status, page(statusIn([status]))]))
const amongStatuses = sql`status || '' = ANY(${param('statuses')}::text[])`
const bySession = page(sql`session_id = ${param('session_id')} AND ${amongStatuses}`)
const byRunner = page(sql`runner_id = ${param('runner_id')} AND ${amongStatuses}`)
const bySessionAndRunner = page(
  sql`session_id = ${param('session_id')} AND ${runnerIs} AND ${amongStatuses}`,
)

const get = prepared(
  orm
    .select(runColumns)
    .from(runs)
    .where(eq(runs.run_id, param('run_id'))),
)
const traceparent = prepared(
  orm
    .select({ traceparent: runs.traceparent })
    .from(runs)
    .where(eq(runs.run_id, param('run_id'))),
)
const pending = prepared(
  orm
    .select(runColumns)
    .from(runs)
    .where(sql`status = 'pending'`)
    .orderBy(desc(runs.priority), asc(runs.created_at), asc(runs.seq))
    .limit(sql.placeholder('limit')),
)
const active = prepared(
  orm
    .select(runColumns)
    .from(runs)
    .where(statusIn(HELD_STATUSES))
    .orderBy(asc(runs.created_at), asc(runs.seq))
    .limit(sql.placeholder('limit')),
)
const activeOfSession = prepared(
  orm
    .select(runColumns)
    .from(runs)
    .where(sql`session_id = ${param('session_id')} AND ${statusAmong(ACTIVE_STATUSES)}`)
    .orderBy(desc(runs.created_at), desc(runs.seq))
    .limit(1),
)

async function newest(
  on: Connection,
  filter: RunFilter,
  statuses: readonly RunStatus[],
  limit: number,
): Promise<ListedRun[]> {
  const { created_at, seq } = parseCursor(filter.cursor)
  const given = { cursor_created_at: created_at, cursor_seq: seq, limit }
  const { session_id, runner_id } = filter
  if (session_id !== undefined && runner_id !== undefined) {
    return await bySessionAndRunner.all(on, { ...given, session_id, runner_id, statuses })
  }
  if (session_id !== undefined) return await bySession.all(on, { ...given, session_id, statuses })
  if (runner_id !== undefined) return await byRunner.all(on, { ...given, runner_id, statuses })
  const found: ListedRun[] = []
  for (const status of new Set(statuses)) {
    found.push(...((await byStatus.get(status)?.all(on, given)) ?? []))
  }
  return found.sort(newestFirst).slice(0, limit)
}

export const findActiveOfSession = (on: Connection, session_id: string) =>
  activeOfSession.get(on, { session_id })

export const createLists = (database: Database) => ({
  get: async (run_id: string): Promise<Run | null> =>
    (await database.run((on) => get.get(on, { run_id }))) ?? null,
  traceparent: async (run_id: string): Promise<string | null> =>
    (await database.run((on) => traceparent.get(on, { run_id })))?.traceparent ?? null,
  pending: (limit: number): Promise<Run[]> => database.run((on) => pending.all(on, { limit })),
  active: (limit: number): Promise<Run[]> => database.run((on) => active.all(on, { limit })),
  activeOfSession: async (session_id: string): Promise<Run | null> =>
    (await database.run((on) => findActiveOfSession(on, session_id))) ?? null,

  async list(filter: RunFilter): Promise<RunPage> {
    // One more than asked for tells whether there is a next page.
    const rows = await database.run((on) =>
      newest(on, filter, filter.statuses ?? RUN_STATUSES, filter.limit + 1),
    )
    const listed = rows.slice(0, filter.limit)
    const last = listed.at(-1)
    const next_cursor = rows.length > filter.limit && last ? cursorText(last) : null
    return { runs: listed.map(({ seq: _, ...run }) => run), next_cursor }
  },
})

function newestFirst(a: Position, b: Position): number {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1
  return b.seq - a.seq
}
