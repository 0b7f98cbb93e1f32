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
import type { Orm } from './database.ts'
import { runs } from './schema.ts'
import { atMost, param, runColumns, statusIn } from './statements.ts'

const listedColumns = { ...runColumns, seq: runs.seq }
type ListedRun = Run & { seq: number }

/** Row values compare as one key, which the indexes that end in (created_at, rowid) can seek. */
const afterCursor = sql`(created_at, seq) < (${param('cursor_created_at')}, ${param('cursor_seq')})`

export function prepareLists(orm: Orm) {
  const page = (guard: SQL) =>
    orm
      .select(listedColumns)
      .from(runs)
      .where(sql`${guard} AND ${afterCursor}`)
      .orderBy(desc(runs.created_at), desc(runs.seq))
      .limit(atMost('limit'))
      .prepare()

  // A single status walks idx_runs_status_created backwards; several are merged from one walk each,
  // since one statement over several would sort all their rows.
  const byStatus = new Map(RUN_STATUSES.map((status) => [status, page(statusIn([status]))]))
  const amongStatuses = sql`status IN (SELECT value FROM json_each(${param('statuses')}))`
  const bySession = page(sql`session_id = ${param('session_id')} AND ${amongStatuses}`)
  const byRunner = page(sql`runner_id = ${param('runner_id')} AND ${amongStatuses}`)
  const bySessionAndRunner = page(
    sql`session_id = ${param('session_id')} AND +runner_id = ${param('runner_id')} AND ${amongStatuses}`,
  )

  const get = orm
    .select(runColumns)
    .from(runs)
    .where(eq(runs.run_id, param('run_id')))
    .prepare()
  const traceparent = orm
    .select({ traceparent: runs.traceparent })
    .from(runs)
    .where(eq(runs.run_id, param('run_id')))
    .prepare()
  const pending = orm
    .select(runColumns)
    .from(runs)
    .where(sql`status = 'pending'`)
    .orderBy(desc(runs.priority), asc(runs.created_at), asc(runs.seq))
    .limit(atMost('limit'))
    .prepare()
  const active = orm
    .select(runColumns)
    .from(runs)
    .where(statusIn(HELD_STATUSES))
    .orderBy(asc(runs.created_at), asc(runs.seq))
    .limit(atMost('limit'))
    .prepare()
  const activeOfSession = orm
    .select(runColumns)
    .from(runs)
    .where(sql`session_id = ${param('session_id')} AND ${statusIn(ACTIVE_STATUSES)}`)
    .orderBy(desc(runs.created_at), desc(runs.seq))
    .limit(atMost(1))
    .prepare()

  function newest(filter: RunFilter, statuses: readonly RunStatus[], limit: number): ListedRun[] {
    const { created_at, seq } = parseCursor(filter.cursor)
    const given = { cursor_created_at: created_at, cursor_seq: seq, limit }
    const { session_id, runner_id } = filter
    const among = JSON.stringify(statuses)
    if (session_id !== undefined && runner_id !== undefined) {
      return bySessionAndRunner.all({ ...given, session_id, runner_id, statuses: among })
    }
    if (session_id !== undefined) return bySession.all({ ...given, session_id, statuses: among })
    if (runner_id !== undefined) return byRunner.all({ ...given, runner_id, statuses: among })
    return [...new Set(statuses)]
      .flatMap((status) => byStatus.get(status)?.all(given) ?? [])
      .sort(newestFirst)
      .slice(0, limit)
  }

  return {
    get: (run_id: string): Run | null => get.get({ run_id }) ?? null,
    traceparent: (run_id: string): string | null =>
      traceparent.get({ run_id })?.traceparent ?? null,
    pending: (limit: number): Run[] => pending.all({ limit }),
    active: (limit: number): Run[] => active.all({ limit }),
    activeOfSession: (session_id: string): Run | null =>
      activeOfSession.get({ session_id }) ?? null,

    list(filter: RunFilter): RunPage {
      // One more than asked for tells whether there is a next page.
      const rows = newest(filter, filter.statuses ?? RUN_STATUSES, filter.limit + 1)
      const listed = rows.slice(0, filter.limit)
      const last = listed.at(-1)
      const next_cursor = rows.length > filter.limit && last ? cursorText(last) : null
      return { runs: listed.map(({ seq: _, ...run }) => run), next_cursor }
    },
  }
}

function newestFirst(a: Position, b: Position): number {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1
  return b.seq - a.seq
}
