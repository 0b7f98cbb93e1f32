/** Every way in which a run ends, each from where it can: the run is added with the facts given. */

import { ERRORS } from '../../src/queue/recovery.ts'
import type { NewRun, Run } from '../../src/queue/run.ts'
import type { World } from './world.ts'

export interface Ending {
  name: string
  /** A run that is ready to end so … */
  prepare: (world: World, facts: Partial<NewRun>) => Promise<Prepared>
  /** … and what its parent is told then. */
  status: 'completed' | 'failed'
  text: string
}

interface Prepared {
  run: Run
  end: () => Promise<unknown>
}

const STOPPED = 'Error: The run was stopped'

/** From a run that a runner holds. */
function held(
  from: 'claimed' | 'running' | 'stopping',
  end: (world: World, held: Awaited<ReturnType<World['bring']>>) => Promise<unknown>,
): Ending['prepare'] {
  return async (world, facts) => {
    const brought = await world.bring(from, { priority: 1_000, ...facts })
    return { run: brought.run, end: () => end(world, brought) }
  }
}

/** From a run that nobody took. */
function pending(end: (world: World, run: Run) => Promise<unknown>): Ending['prepare'] {
  return async (world, facts) => {
    const run = await world.add({ ...facts, demands: { hostname: 'nowhere', tags: [] } })
    return { run, end: () => end(world, run) }
  }
}

export const ENDINGS: Ending[] = [
  {
    name: 'completes',
    prepare: held('running', ({ runs, clock }, { report }) =>
      runs.complete(
        { ...report, session_status: 'idle', result: { text: 'done', data: null } },
        clock.now(),
      ),
    ),
    status: 'completed',
    text: 'done',
  },
  {
    name: 'fails',
    prepare: held('claimed', ({ runs, clock }, { report }) =>
      runs.fail({ ...report, error: 'broken' }, clock.now()),
    ),
    status: 'failed',
    text: 'Error: broken',
  },
  {
    name: 'is stopped by its runner',
    prepare: held('stopping', ({ runs, clock }, { report }) =>
      runs.confirmStop(report, clock.now()),
    ),
    status: 'failed',
    text: STOPPED,
  },
  {
    name: 'is cancelled',
    prepare: pending(({ runs, clock }, { run_id }) => runs.stop(run_id, clock.now())),
    status: 'failed',
    text: STOPPED,
  },
  {
    name: 'is cancelled by way of its session',
    prepare: pending(({ sessions, clock }, { session_id }) =>
      sessions.stop(session_id, clock.now()),
    ),
    status: 'failed',
    text: STOPPED,
  },
  {
    name: 'finds no match in time',
    prepare: pending(({ runs, clock }) => runs.failTimedOut(clock.ahead(600), 10)),
    status: 'failed',
    text: `Error: ${ERRORS.noMatch}`,
  },
  {
    name: 'is asked to stop and nobody confirms',
    prepare: held('stopping', ({ runs, clock }) =>
      runs.settleUnconfirmedStops(clock.now(), clock.now(), 10),
    ),
    status: 'failed',
    text: STOPPED,
  },
  {
    name: 'loses its runner',
    prepare: held('running', ({ runners, clock }) =>
      runners.removeLost(clock.now(), clock.now(), 10),
    ),
    status: 'failed',
    text: `Error: ${ERRORS.runnerLost}`,
  },
  {
    name: 'is left by its runner',
    prepare: held('running', ({ runners, clock }, { report }) =>
      runners.remove(report.runner_id, clock.now()),
    ),
    status: 'failed',
    text: `Error: ${ERRORS.runnerLost}`,
  },
  {
    name: 'is left by a runner that is sent away, while stopping',
    prepare: held('stopping', async ({ runners, runs, clock }, { report }) => {
      const { runner_id } = report
      await runners.deregister(runner_id, clock.now())
      const look = { runner_id, limit: 1, claim_key: null, tokens: ['t'] }
      await runs.poll(look, clock.now(), clock.ago(60))
    }),
    status: 'failed',
    text: STOPPED,
  },
  {
    name: 'is found by a server that starts',
    prepare: held('running', ({ runs, clock }) => {
      const options = { thresholdSeconds: 0, aliveSince: clock.ahead(1) }
      return runs.recover('stale', options, clock.now())
    }),
    status: 'failed',
    text: `Error: ${ERRORS.restartedStale}`,
  },
  {
    name: 'is found stopping by a server that starts',
    prepare: held('stopping', ({ runs, clock }) => {
      const options = { thresholdSeconds: 0, aliveSince: clock.now() }
      return runs.recover('all', options, clock.now())
    }),
    status: 'failed',
    text: STOPPED,
  },
]
