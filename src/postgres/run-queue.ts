/** The RunQueue on PostgreSQL. */
import { sql } from '../drizzle.ts'
import { clientOf } from '../queue/cause.ts'
import { canonicalDemands } from '../queue/demands.ts'
import { demandsNotPending, runNotFound } from '../queue/refusals.ts'
import type { RunQueue } from '../queue/run-queue.ts'
import { createAdd } from './add.ts'
import type { Callbacks } from './callbacks.ts'
import { type Claims, createClaims } from './claim.ts'
import type { Database } from './database.ts'
import { createHistory } from './history.ts'
import { createLists } from './list.ts'
import { later } from './moves.ts'
import { createPoll } from './poll.ts'
import { createRecovery } from './recover.ts'
import { createReports } from './report.ts'
import type { Registry } from './runners.ts'
import { runs } from './schema.ts'
import { json, orm, param, prepared, runColumns, statusAmong, textParam } from './statements.ts'
import type { Stops } from './stop.ts'
import { createSweeps } from './sweep.ts'

const timeoutSeconds = sql`${param('timeout_seconds')}::float8`
const setDemands = prepared(
  orm
    .update(runs)
    .set({
      demands: param('demands'),
      timeout_at: later(sql`greatest(${textParam('now')}, available_at)`, timeoutSeconds),
      timeout_seconds: timeoutSeconds,
      updated_at: param('now'),
      cause: 'demands_changed',
      changed_by: param('changed_by'),
    })
    .where(sql`run_id = ${param('run_id')} AND ${statusAmong(['pending'])}`)
    .returning(runColumns),
)

interface Parts {
  database: Database
  callbacks: Callbacks
  stops: Stops
  registry: Registry
}

export function createRunQueue(parts: Parts): RunQueue {
  const { database, callbacks, stops, registry } = parts
  const claims: Claims = createClaims(database)
  const lists = createLists(database)

  return {
    ...createAdd(database),
    ...lists,
    ...createSweeps(database, callbacks),
    ...createHistory(database),
    ...claims,
    ...createReports(database, callbacks),
    poll: createPoll({ registry, stops, claims }),
    stop: stops.stop,
    takeStops: stops.takeStops,
    deliverCallbacks: callbacks.deliverCallbacks,
    recover: createRecovery(database, callbacks),

    async setDemands(run_id, wanted, timeout_seconds, now, caller) {
      const demands = canonicalDemands(wanted)
      const run = await database.run((on) =>
        setDemands.get(on, {
          run_id,
          demands: json(demands),
          timeout_seconds: demands === null ? null : timeout_seconds,
          now,
          changed_by: clientOf(caller),
        }),
      )
      if (run) return run
      const found = await lists.get(run_id)
      if (!found) throw runNotFound()
      throw demandsNotPending(run_id, found.status)
    },
  }
}
