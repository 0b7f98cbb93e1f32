/**
 * Parents are told how their children ended. A trigger (`runs_ended`) keeps what a child came to,
 * however it ended; here it becomes a run of its parent, in the transaction in which the child ended,
 * or the run that the parent was busy with.
 *
 * Of these two, when they commit at once, neither would see the other. So both lock the session of
 * the parent before they look: the trigger for the child, what follows its run for the parent.
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
import { addedChange, changeOf, type RunChange } from '../queue/run-change.ts'
import type { DeliveredCallbacks } from '../queue/run-queue.ts'
import { goOn } from './add.ts'
import type { Connection, Database } from './database.ts'
import { callbacks } from './schema.ts'
import {
  type Moved,
  orm,
  param,
  prepared,
  preparedChange,
  Statement,
  statusAmong,
} from './statements.ts'

/**
 * In the guard of a statement that ends a run by itself: nobody is concerned, as most often, so that
 * it need not wait for a transaction's steps. What it cannot see, a child that ends meanwhile, the
 * trigger sees, which then has it done again.
 */
export const concernsNobody = sql`CASE
  WHEN ${param('tells_parents')}::boolean THEN true
  WHEN execution_mode = 'async_callback' AND parent_session_id IS NOT NULL THEN false
  ELSE set_config('runqueue.alone', 'on', true) = 'on' AND NOT EXISTS (
    SELECT 1 FROM callbacks WHERE callbacks.parent_session_id = runs.session_id) END`

// Not EXISTS: PostgreSQL would rather look at all runs once than at those of each session.
const isBusy = sql`coalesce((
  SELECT true FROM runs
  WHERE runs.session_id = waiting.parent_session_id AND runs.${statusAmong(ACTIVE_STATUSES)}
  LIMIT 1), false)`

const findWaiting = new Statement<{ parent_session_id: string }>(sql`
  SELECT parent_session_id FROM callbacks
  WHERE parent_session_id = ANY(${param('session_ids')}::text[])
  GROUP BY parent_session_id ORDER BY parent_session_id`)

/** Nobody else delivers to it, and no run of it ends, until this transaction does. */
const lockParent = preparedChange(sql`
  SELECT 1 FROM sessions WHERE session_id = ${param('parent_session_id')} FOR NO KEY UPDATE`)

const take = prepared(
  orm
    .delete(callbacks)
    .where(
      sql`callback_id = ANY(ARRAY(
        SELECT callback_id FROM callbacks AS waiting
        WHERE parent_session_id = ${param('parent_session_id')} AND NOT ${isBusy}
        ORDER BY callback_id LIMIT ${sql.raw(String(CALLBACK_BATCH))}))`,
    )
    .returning({
      callback_id: callbacks.callback_id,
      child_session_id: callbacks.child_session_id,
      child_run_id: callbacks.child_run_id,
      status: callbacks.status,
      text: callbacks.text,
      traceparent: sql<string | null>`(
        SELECT traceparent FROM runs WHERE runs.run_id = callbacks.child_run_id)`.as('traceparent'),
    }),
)

const lookAtWaiting = new Statement<{ parent_session_id: string; is_busy: boolean }>(sql`
  SELECT parent_session_id, ${isBusy} AS is_busy
  FROM (SELECT DISTINCT parent_session_id FROM callbacks
        WHERE parent_session_id > ${param('after')}::text
        ORDER BY parent_session_id LIMIT ${param('limit')}) AS waiting`)

export type Callbacks = ReturnType<typeof createCallbacks>

/** @param matchTimeoutSeconds what the runs wait for a match */
export function createCallbacks(database: Database, matchTimeoutSeconds: number) {
  /** What waits for it becomes one run, if it has time. */
  async function deliverTo(
    on: Connection,
    parent_session_id: string,
    now: Timestamp,
  ): Promise<RunChange[]> {
    await lockParent.run(on, { parent_session_id })
    const taken = await take.all(on, { parent_session_id })
    // Rows come in any order.
    taken.sort((a, b) => a.callback_id - b.callback_id)
    const [first, ...more]: ChildOutcome[] = taken
    if (first === undefined) return []
    const run = callbackRun(parent_session_id, [first, ...more], now)
    const added = await goOn(on, { ...run, timeout_seconds: matchTimeoutSeconds }, now)
    return [addedChange(added, 'service')]
  }

  /**
   * After runs changed, in the same transaction: whom that concerns is told.
   * @returns what was added
   */
  async function deliver(
    on: Connection,
    changed: readonly Changed[],
    now: Timestamp,
  ): Promise<RunChange[]> {
    const session_ids = concernedSessions(changed)
    if (session_ids.length === 0) return []
    const told: RunChange[] = []
    for (const { parent_session_id } of await findWaiting.all(on, { session_ids })) {
      told.push(...(await deliverTo(on, parent_session_id, now)))
    }
    return told
  }

  return {
    deliver,

    /** Changes runs, and tells whom that concerns. */
    changing: (
      now: Timestamp,
      operation: (on: Connection) => Promise<Moved[]>,
    ): Promise<RunChange[]> =>
      database.transaction(async (on) => {
        const changed = await operation(on)
        const told = await deliver(on, changed, now)
        return [...changed.map(changeOf), ...told]
      }),

    /** Ends a run by a statement that has {@link concernsNobody} in its guard. */
    async end<R extends Moved>(
      ending: Statement<R>,
      values: { now: Timestamp } & Record<string, unknown>,
    ): Promise<{ run: R; told: RunChange[] } | undefined> {
      const end = (on: Connection, tells_parents: boolean) =>
        ending.get(on, { ...values, tells_parents })
      const alone = await database.run((on) => end(on, false))
      if (alone) return { run: alone, told: [] }
      return await database.transaction(async (on) => {
        const run = await end(on, true)
        return run && { run, told: await deliver(on, [run], values.now) }
      })
    },

    async deliverCallbacks(
      after: string | null,
      now: Timestamp,
      limit: number,
    ): Promise<DeliveredCallbacks> {
      const looked = await database.run((on) =>
        lookAtWaiting.all(on, { after: after ?? '', limit }),
      )
      const changes: RunChange[] = []
      for (const { parent_session_id, is_busy } of looked) {
        if (is_busy) continue
        const told = await database.transaction((on) => deliverTo(on, parent_session_id, now))
        changes.push(...told)
      }
      const last = looked.at(-1)
      return { changes, next: looked.length < limit ? null : (last?.parent_session_id ?? null) }
    },
  }
}
