/**
 * Parents are told how their children ended. A trigger (`runs_ended`) keeps what a child came to,
 * however it ended; here it becomes a run of its parent, in the transaction in which the child ended,
 * or the run that the parent was busy with.
 */
import { sql } from '../drizzle.ts'
import {
  CALLBACK_BATCH,
  type Changed,
  type ChildOutcome,
  callbackRun,
  concernedSessions,
} from '../queue/callback.ts'
import { ACTIVE_STATUSES, type Timestamp } from '../queue/run.ts'
import { addedChange, type RunChange } from '../queue/run-change.ts'
import type { Adding } from './add.ts'
import type { Orm } from './database.ts'
import { callbacks } from './schema.ts'
import { atMost, param, statusIn } from './statements.ts'

/** Asked in the statement that ends a run: most concern nobody, and then that was all. */
export const concernsCallbacks = sql<number>`(
  (execution_mode = 'async_callback' AND parent_session_id IS NOT NULL)
  OR EXISTS (SELECT 1 FROM callbacks WHERE callbacks.parent_session_id = runs.session_id))`

export type Callbacks = ReturnType<typeof prepareCallbacks>

export function prepareCallbacks(orm: Orm, { goOn }: Pick<Adding, 'goOn'>) {
  const isBusy = (session_id: string) => sql`EXISTS (
    SELECT 1 FROM runs
    WHERE runs.session_id = ${sql.raw(session_id)} AND runs.${statusIn(ACTIVE_STATUSES)})`

  const findWaiting = orm
    .selectDistinct({ parent_session_id: callbacks.parent_session_id })
    .from(callbacks)
    .where(sql`parent_session_id IN (SELECT value FROM json_each(${param('session_ids')}))`)
    .orderBy(callbacks.parent_session_id)
    .prepare()

  const take = orm
    .delete(callbacks)
    .where(
      sql`callback_id IN (
        SELECT callback_id FROM callbacks AS waiting
        WHERE parent_session_id = ${param('parent_session_id')}
          AND NOT ${isBusy('waiting.parent_session_id')}
        ORDER BY callback_id LIMIT ${sql.raw(String(CALLBACK_BATCH))})`,
    )
    .returning({
      callback_id: callbacks.callback_id,
      child_session_id: callbacks.child_session_id,
      child_run_id: callbacks.child_run_id,
      status: callbacks.status,
      text: callbacks.text,
      traceparent: sql<string | null>`(
        SELECT traceparent FROM runs WHERE runs.run_id = callbacks.child_run_id)`,
    })
    .prepare()

  const look = orm
    .select({
      parent_session_id: sql<string>`parent_session_id`,
      is_busy: sql<number>`${isBusy('looked_at.parent_session_id')}`,
    })
    .from(
      sql`(SELECT DISTINCT parent_session_id FROM callbacks
           WHERE parent_session_id > ${param('after')}
           ORDER BY parent_session_id LIMIT ${atMost('limit')}) AS looked_at`,
    )
    .prepare()

  /** What waits for it becomes one run, if it has time. */
  function deliverTo(parent_session_id: string, now: Timestamp): RunChange[] {
    const taken = take.all({ parent_session_id })
    // Rows come in any order.
    taken.sort((a, b) => a.callback_id - b.callback_id)
    const [first, ...more]: ChildOutcome[] = taken
    if (first === undefined) return []
    const run = goOn(callbackRun(parent_session_id, [first, ...more], now), now)
    return run === null ? [] : [addedChange(run, 'service')]
  }

  return {
    /**
     * After runs changed, in the same transaction: whom that concerns is told.
     * @returns what was added
     */
    deliver(changed: readonly Changed[], now: Timestamp): RunChange[] {
      const session_ids = concernedSessions(changed)
      if (session_ids.length === 0) return []
      const waiting = findWaiting.all({ session_ids: JSON.stringify(session_ids) })
      return waiting.flatMap(({ parent_session_id }) => deliverTo(parent_session_id, now))
    },

    /** @returns whom something waits for, and who of them has time */
    look(after: string | null, limit: number): { due: string[]; next: string | null } {
      const looked = look.all({ after: after ?? '', limit })
      const due = looked.filter(({ is_busy }) => !is_busy)
      return {
        due: due.map(({ parent_session_id }) => parent_session_id),
        next: looked.length < limit ? null : (looked.at(-1)?.parent_session_id ?? null),
      }
    },

    deliverTo,
  }
}
