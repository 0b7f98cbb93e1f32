/** The registry of runners on SQLite. */
import { asc, eq, sql } from '../drizzle.ts'
import { because, type Reason } from '../queue/cause.ts'
import {
  duplicateRunner,
  runnerNotFound,
  runnerNotRegistered,
  runnerNotYours,
} from '../queue/refusals.ts'
import type { Timestamp } from '../queue/run.ts'
import { changeOf, type RunChange } from '../queue/run-change.ts'
import type { Runner } from '../queue/runner.ts'
import type { LostRunners, Runners } from '../queue/runners.ts'
import { addSeconds, secondsBetween } from '../queue/time.ts'
import type { Caller } from '../queue/token.ts'
import type { Callbacks } from './callbacks.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Orm } from './database.ts'
import { isUsable, type Ownership } from './ownership.ts'
import { runners } from './schema.ts'
import { atMost, json, param } from './statements.ts'
import type { Moved, Sweeps } from './sweep.ts'

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

export type Registry = ReturnType<typeof prepareRegistry>

/** What polls need of the registry, too. */
export function prepareRegistry(orm: Orm, sweeps: Sweeps, callbacks: Callbacks) {
  const isRunner = eq(runners.runner_id, param('runner_id'))
  const get = orm.select(runnerColumns).from(runners).where(isRunner).prepare()
  const remove = orm.delete(runners).where(isRunner).prepare()

  /** With what it held. @returns the runs that changed; null where it is not registered */
  const removeWithRuns = (runner_id: string, now: Timestamp, reason: Reason): Moved[] | null =>
    remove.run({ runner_id }).changes === 0 ? null : sweeps.loseRunner(runner_id, now, reason)

  return {
    get: (runner_id: string): Runner | null => get.get({ runner_id }) ?? null,
    removeWithRuns,
    /** … and whom that concerns is told. */
    remove(runner_id: string, now: Timestamp, reason: Reason): RunChange[] | null {
      const changed = removeWithRuns(runner_id, now, reason)
      return changed && [...changed.map(changeOf), ...callbacks.deliver(changed, now)]
    },
  }
}

interface Parts {
  orm: Orm
  lane: CommitLane
  callbacks: Callbacks
  registry: Registry
  ownership: Ownership
}

/** The runner with this id is another token's, and that one can still be used. */
const isOthers = sql`runners.token_id IS NOT ${param('token_id')} AND ${isUsable('runners.token_id')}`

export function createRunners({ orm, lane, callbacks, registry, ownership }: Parts): Runners {
  const register = orm
    .insert(runners)
    .values({
      runner_id: param('runner_id'),
      hostname: param('hostname'),
      project_dir: param('project_dir'),
      executor_type: param('executor_type'),
      executor_profile: param('executor_profile'),
      executor: param('executor'),
      agents: param('agents'),
      tags: sql`coalesce(${param('tags')}, '[]')`,
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
        tags: sql`coalesce(${param('tags')}, runners.tags)`,
        require_matching_tags: sql`excluded.require_matching_tags`,
        last_heartbeat: param('now'),
        deregistered_at: null,
        token_id: sql`excluded.token_id`,
      },
      setWhere: sql`CASE
        WHEN ${isOthers} THEN ${param('is_admin')} AND runners.last_heartbeat <= ${param('stale_before')}
        WHEN runners.token_id IS NOT excluded.token_id AND excluded.token_id IS NOT NULL THEN 1
        ELSE runners.last_heartbeat <= ${param('stale_before')} END`,
    })
    .returning(runnerColumns)
    .prepare()

  const findOthers = orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(sql`runner_id = ${param('runner_id')} AND ${isOthers}`)
    .prepare()
  const list = orm
    .select(runnerColumns)
    .from(runners)
    .orderBy(asc(runners.registered_at), asc(runners.runner_id))
    .limit(atMost('limit'))
    .prepare()
  const heartbeat = orm
    .update(runners)
    .set({ last_heartbeat: param('now') })
    .where(eq(runners.runner_id, param('runner_id')))
    .prepare()
  const deregister = orm
    .update(runners)
    .set({ deregistered_at: sql`coalesce(deregistered_at, ${param('now')})` })
    .where(eq(runners.runner_id, param('runner_id')))
    .prepare()
  const silent = orm
    .select({ runner_id: runners.runner_id })
    .from(runners)
    .where(sql`last_heartbeat <= ${param('silent_since')}`)
    .orderBy(asc(runners.last_heartbeat))
    .limit(atMost('limit'))
    .prepare()

  // The clock was set back: heartbeats from before count as of now, or the silence of who gave them
  // would not be noticed until the clock is there again.
  const bringBack = orm
    .update(runners)
    .set({ last_heartbeat: param('now') })
    .where(sql`last_heartbeat > ${param('ahead')}`)
    .prepare()

  return {
    register: (runner, now, stale_before, caller) =>
      lane.write((): Runner => {
        const { token_id, is_admin } = owner(caller)
        const registered = register.get({
          ...runner,
          executor: json(runner.executor),
          agents: json(runner.agents),
          tags: json(runner.tags),
          require_matching_tags: runner.require_matching_tags ? 1 : 0,
          token_id,
          is_admin,
          now,
          stale_before,
        })
        if (registered) return registered
        if (!is_admin && findOthers.get({ ...runner, token_id, now })) {
          throw runnerNotYours(runner.runner_id)
        }
        throw duplicateRunner(runner)
      }),

    get: async (runner_id) => registry.get(runner_id),
    list: async (limit) => list.all({ limit }),

    heartbeat: (runner_id, now, caller) =>
      lane.write(() => {
        ownership.check(runner_id, caller, now)
        if (heartbeat.run({ runner_id, now }).changes > 0) return
        throw runnerNotRegistered()
      }),

    deregister: (runner_id, now) =>
      lane.write(() => {
        if (deregister.run({ runner_id, now }).changes > 0) return
        throw runnerNotFound()
      }),

    remove: (runner_id, now, caller) =>
      lane.write(() => {
        ownership.check(runner_id, caller, now)
        const lost = registry.remove(runner_id, now, because('runner_removed', 'runner'))
        if (lost === null) throw runnerNotFound()
        return lost
      }),

    removeLost: (silent_since, now, limit) =>
      lane.write((): LostRunners => {
        // No less than the time that makes a runner lost: servers' clocks differ a little.
        bringBack.run({ now, ahead: addSeconds(now, secondsBetween(silent_since, now)) })
        const lost = because('runner_lost', 'service')
        const runner_ids = silent.all({ silent_since, limit }).map(({ runner_id }) => runner_id)
        const changed = runner_ids.flatMap((id) => registry.removeWithRuns(id, now, lost) ?? [])
        // Once for all: parents may have been with one of these runners, and children with others.
        const told = callbacks.deliver(changed, now)
        return { runner_ids, changes: [...changed.map(changeOf), ...told] }
      }),
  }
}

const owner = (caller: Caller | null | undefined) => ({
  token_id: caller?.token_id ?? null,
  is_admin: caller?.role === 'admin' ? 1 : 0,
})
