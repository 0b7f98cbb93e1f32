/** The registry of runners on PostgreSQL. */
import { and, asc, eq, sql } from '../drizzle.ts'
import { because, type Reason } from '../queue/cause.ts'
import {
  duplicateRunner,
  runnerNotFound,
  runnerNotRegistered,
  runnerNotYours,
} from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Runners } from '../queue/runners.ts'
import { addSeconds, secondsBetween } from '../queue/time.ts'
import type { Caller } from '../queue/token.ts'
import type { Callbacks } from './callbacks.ts'
import type { Connection, Database } from './database.ts'
import { asCaller, explainRefusal, isAllowed, isUsable } from './ownership.ts'
import { runners } from './schema.ts'
import { json, type Moved, orm, param, prepared, preparedChange, textParam } from './statements.ts'
import { loseRunner } from './sweep.ts'

export const runnerColumns = {
  runner_id: runners.runner_id,
  hostname: runners.hostname,
  project_dir: runners.project_dir,
  executor_type: runners.executor_type,
  executor_profile: runners.executor_profile,
  executor: runners.executor,
  tags: runners.tags,
  require_matching_tags: runners.require_matching_tags,
  registered_at: runners.registered_at,
  last_heartbeat: runners.last_heartbeat,
  deregistered_at: runners.deregistered_at,
}

const isRunner = eq(runners.runner_id, param('runner_id'))
const isStale = sql`runners.last_heartbeat <= ${textParam('stale_before')}`
/** The runner with this id is another token's, and that one can still be used. */
const isOthers = sql`runners.token_id IS DISTINCT FROM ${textParam('token_id')} AND ${isUsable('runners.token_id')}`
const tags = sql`${param('tags')}::jsonb`

const register = prepared(
  orm
    .insert(runners)
    .values({
      runner_id: param('runner_id'),
      hostname: param('hostname'),
      project_dir: param('project_dir'),
      executor_type: param('executor_type'),
      executor_profile: param('executor_profile'),
      executor: param('executor'),
      agents: param('agents'),
      tags: sql`coalesce(${tags}, '[]')`,
      require_matching_tags: param('require_matching_tags'),
      registered_at: param('now'),
      last_heartbeat: param('now'),
      token_id: param('token_id'),
    })
    .onConflictDoUpdate({
      target: runners.runner_id,
      set: {
        executor_type: sql`coalesce(excluded.executor_type, runners.executor_type)`,
        executor: sql`coalesce(excluded.executor, runners.executor)`,
        agents: sql`coalesce(excluded.agents, runners.agents)`,
        tags: sql`coalesce(${tags}, runners.tags)`,
        require_matching_tags: sql`excluded.require_matching_tags`,
        last_heartbeat: param('now'),
        deregistered_at: null,
        token_id: sql`excluded.token_id`,
      },
      setWhere: sql`CASE
        WHEN ${isOthers} THEN ${param('is_admin')}::boolean AND ${isStale}
        WHEN runners.token_id IS DISTINCT FROM excluded.token_id AND excluded.token_id IS NOT NULL THEN true
        ELSE ${isStale} END`,
    })
    .returning(runnerColumns),
)
const findOthers = prepared(
  orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(sql`runner_id = ${param('runner_id')} AND ${isOthers}`),
)
export const findRunner = prepared(orm.select(runnerColumns).from(runners).where(isRunner))
const list = prepared(
  orm
    .select(runnerColumns)
    .from(runners)
    .orderBy(asc(runners.registered_at), asc(runners.runner_id))
    .limit(sql.placeholder('limit')),
)
const heartbeat = preparedChange(
  orm
    .update(runners)
    .set({ last_heartbeat: param('now') })
    .where(and(isRunner, isAllowed)),
)
const deregister = preparedChange(
  orm
    .update(runners)
    .set({ deregistered_at: sql`coalesce(deregistered_at, ${param('now')})` })
    .where(isRunner),
)
const remove = preparedChange(orm.delete(runners).where(and(isRunner, isAllowed)))
const silent = prepared(
  orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(sql`last_heartbeat <= ${param('silent_since')}`)
    .orderBy(asc(runners.last_heartbeat))
    .limit(sql.placeholder('limit'))
    // Others, who remove the same ones just now, take the next.
    .for('update', { skipLocked: true }),
)

export type Registry = ReturnType<typeof createRegistry>

// The clock was set back: heartbeats from before count as of now, or the silence of who gave them
// would not be noticed until the clock is there again.
const bringBack = preparedChange(
  orm
    .update(runners)
    .set({ last_heartbeat: param('now') })
    .where(sql`last_heartbeat > ${param('ahead')}`),
)

/** What polls need of the registry, too. */
export function createRegistry(database: Database, callbacks: Callbacks) {
  /**
   * With what it held. Not one statement, since claims that were under way as it was deleted must show
   * in what follows.
   * @returns the runs that changed; null where it is not registered
   */
  async function removeWithRuns(
    on: Connection,
    runner_id: string,
    now: Timestamp,
    reason: Reason,
    caller?: Caller | null,
  ): Promise<Moved[] | null> {
    const removed = await remove.run(on, { runner_id, now, ...asCaller(caller) })
    if (removed > 0) return await loseRunner(on, runner_id, now, reason)
    await explainRefusal(on, runner_id, caller, now)
    return null
  }
  return {
    removeWithRuns,
    /** … and whom that concerns is told. */
    remove: (
      runner_id: string,
      now: Timestamp,
      reason: Reason,
      caller?: Caller | null,
    ): Promise<RunChange[] | null> =>
      database.transaction(async (on) => {
        const changed = await removeWithRuns(on, runner_id, now, reason, caller)
        if (changed === null) return null
        const told = await callbacks.deliver(on, changed, now)
        return [...changed.map(changeOf), ...told]
      }),
  }
}

interface Parts {
  database: Database
  callbacks: Callbacks
  registry: Registry
}

export function createRunners({ database, callbacks, registry }: Parts): Runners {
  return {
    async register(runner, now, stale_before, caller) {
      const { token_id, is_admin } = asCaller(caller)
      const registered = await database.run((on) =>
        register.get(on, {
          ...runner,
          executor: json(runner.executor),
          agents: json(runner.agents),
          tags: json(runner.tags),
          token_id,
          is_admin,
          now,
          stale_before,
        }),
      )
      if (registered) return registered
      const { runner_id } = runner
      if (
        !is_admin &&
        (await database.run((on) => findOthers.get(on, { runner_id, token_id, now })))
      ) {
        throw runnerNotYours(runner_id)
      }
      throw duplicateRunner(runner)
    },

    get: async (runner_id) =>
      (await database.run((on) => findRunner.get(on, { runner_id }))) ?? null,
    list: (limit) => database.run((on) => list.all(on, { limit })),

    heartbeat: (runner_id, now, caller) =>
      database.run(async (on) => {
        if ((await heartbeat.run(on, { runner_id, now, ...asCaller(caller) })) > 0) return
        await explainRefusal(on, runner_id, caller, now)
        throw runnerNotRegistered()
      }),

    async deregister(runner_id, now) {
      if ((await database.run((on) => deregister.run(on, { runner_id, now }))) > 0) return
      throw runnerNotFound()
    },

    async remove(runner_id, now, caller) {
      const reason = because('runner_removed', 'runner')
      const lost = await registry.remove(runner_id, now, reason, caller)
      if (lost === null) throw runnerNotFound()
      return lost
    },

    removeLost: (silent_since, now, limit) =>
      database.transaction(async (on) => {
        // No less than the time that makes a runner lost: servers' clocks differ a little.
        const ahead = addSeconds(now, secondsBetween(silent_since, now))
        await bringBack.run(on, { now, ahead })
        const lost = because('runner_lost', 'service')
        const runner_ids: string[] = []
        const changed: Moved[] = []
        for (const { runner_id } of await silent.all(on, { silent_since, limit })) {
          const runs = await registry.removeWithRuns(on, runner_id, now, lost)
          if (runs === null) continue
          runner_ids.push(runner_id)
          changed.push(...runs)
        }
        // Once for all: parents may have been with one of these runners, and children with others.
        const told = await callbacks.deliver(on, changed, now)
        return { runner_ids, changes: [...changed.map(changeOf), ...told] }
      }),
  }
}
