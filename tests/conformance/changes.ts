import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Changes, Engine, News } from '../../src/queue/engine.ts'
import type { RunStatus } from '../../src/queue/run.ts'
import { ADD_LIMIT } from '../../src/queue/run-queue.ts'
import { aNewRun } from '../support/factories.ts'
import type { Held, Setup } from './world.ts'

/** Collects what is told, until the test ends. */
async function listen({ changes, runs }: Pick<Engine, 'changes' | 'runs'>) {
  const heard: News[] = []
  const stop = changes.subscribe((news) => heard.push(news))
  onTestFinished(stop)
  // Of what this engine is asked next everything is told; others may be a moment ahead.
  await runs.get('run_unknown')
  return {
    stop,
    statuses: () => heard.flatMap(({ runs }) => runs.map(({ run_id, status }) => [run_id, status])),
    runs: () =>
      heard.flatMap(({ runs }) =>
        runs.map(({ run_id, status, demands }) => ({ run_id, status, demands })),
      ),
    runner_ids: () => heard.flatMap(({ runner_ids }) => runner_ids),
  }
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })

export function describeChanges(setup: Setup): void {
  describe('changes', () => {
    it.each(['this', 'another'] as const)('tells of a run added by %s process', async (which) => {
      const world = await setup()
      const { add } = world
      const heard = await listen(which === 'this' ? world : await world.open())
      const { run_id, demands } = await add({ demands: { hostname: 'alpha', tags: ['t'] } })
      await soon(() => expect(heard.runs()).toEqual([{ run_id, status: 'pending', demands }]))
    })

    it('tells of every change of status, in order of commit', async () => {
      const { open, bring, runs, clock } = await setup()
      const heard = await listen(await open())
      const done = await bring('completed')
      const retried = await bring('running', { max_attempts: 2 })
      await runs.fail({ ...retried.report, error: 'x' }, clock.now())
      await runs.stop(retried.run.run_id, clock.now())
      const stopped = await bring('stopping')
      await runs.confirmStop(stopped.report, clock.now())
      const changed = (held: Held, ...statuses: RunStatus[]) =>
        statuses.map((status) => [held.run.run_id, status])
      const expected = [
        ...changed(done, 'pending', 'claimed', 'running', 'completed'),
        ...changed(retried, 'pending', 'claimed', 'running', 'pending', 'stopped'),
        ...changed(stopped, 'pending', 'claimed', 'running', 'stopping', 'stopped'),
      ]
      await soon(() => expect(heard.statuses()).toEqual(expected))
    })

    it('tells of what sweeps, recovery and removal change', async () => {
      const { open, add, bring, runs, runners, clock } = await setup()
      const watcher = await open()
      const released = await bring('claimed')
      const lost = await bring('running')
      const unstarted = await bring('claimed')
      const unconfirmed = await bring('stopping')
      const late = await add({ demands: { tags: ['x'] }, timeout_seconds: 1 })
      const restarted = await bring('running')
      const heard = await listen(watcher)
      await runs.release(released.run.run_id, released.report.claim_token ?? '', clock.now())
      await runners.remove(lost.report.runner_id, clock.now())
      await runs.releaseUnstarted(clock.now(), clock.now(), 10)
      await runs.settleUnconfirmedStops(clock.now(), clock.now(), 10)
      await runs.failTimedOut(clock.advance(1), 10)
      const options = { thresholdSeconds: 0, aliveSince: clock.now() }
      await runs.recover('all', options, clock.now())
      await soon(() =>
        expect(heard.statuses()).toEqual([
          [released.run.run_id, 'pending'],
          [lost.run.run_id, 'failed'],
          [unstarted.run.run_id, 'pending'],
          [unconfirmed.run.run_id, 'stopped'],
          [late.run_id, 'failed'],
          [restarted.run.run_id, 'failed'],
        ]),
      )
    })

    it('tells of a run whose demands changed', async () => {
      const world = await setup()
      const { add, runs, clock } = world
      const { run_id } = await add()
      const heard = await listen(world)
      const demands = { hostname: 'beta', tags: [] }
      await runs.setDemands(run_id, demands, 30, clock.now())
      await soon(() => expect(heard.runs()).toEqual([{ run_id, status: 'pending', demands }]))
    })

    it('tells of a run that waits for its time, and again when that has come', async () => {
      const { add, open, runs, clock } = await setup()
      const heard: [string, string, string | null][] = []
      const { changes, runs: watched } = await open()
      const told: Parameters<Changes['subscribe']>[0] = (news) => {
        for (const run of news.runs) heard.push([run.run_id, run.status, run.available_at])
      }
      onTestFinished(changes.subscribe(told))
      await watched.get('run_unknown')
      const { run_id, available_at } = await add({ available_at: clock.ahead(5) })
      await soon(() => expect(heard).toEqual([[run_id, 'pending', available_at]]))
      await runs.makeAvailable(clock.advance(5), 10)
      await soon(() => expect(heard[1]).toEqual([run_id, 'pending', null]))
    })

    it('tells of a runner that is asked to stop a run', async () => {
      const { bring, open, runs, clock } = await setup()
      const heard = await listen(await open())
      const { run, report } = await bring('running')
      await runs.stop(run.run_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(report.runner_id))
    })

    it('tells of a runner that is asked to stop an idle session', async () => {
      const { bring, open, runs, sessions, clock } = await setup()
      const heard = await listen(await open())
      const { run, report } = await bring('running')
      await runs.complete({ ...report, session_status: 'idle', result: null }, clock.now())
      await sessions.stop(run.session_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(report.runner_id))
    })

    it('tells of a runner that is marked for removal, and of one that was removed', async () => {
      const { register, open, runners, clock } = await setup()
      const heard = await listen(await open())
      const [marked, removed, lost] = [await register(), await register(), await register()]
      await runners.deregister(marked.runner_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toEqual([marked.runner_id]))
      await runners.remove(removed.runner_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(removed.runner_id))
      clock.advance(1)
      await runners.heartbeat(marked.runner_id, clock.now())
      await runners.removeLost(clock.ago(1), clock.now(), 10)
      await soon(() => expect(heard.runner_ids()).toContain(lost.runner_id))
    })

    it('tells nothing of what was before', async () => {
      const world = await setup()
      const { add } = world
      await add()
      const heard = await listen(world)
      const { run_id } = await add()
      await soon(() => expect(heard.statuses()).toContainEqual([run_id, 'pending']))
      expect(heard.statuses()).toEqual([[run_id, 'pending']])
    })

    it('tells every subscriber, and nothing more to one that left', async () => {
      const world = await setup()
      const { add } = world
      const [left, stays] = [await listen(world), await listen(world)]
      const first = await add()
      await soon(() => expect([left.runs().length, stays.runs().length]).toEqual([1, 1]))
      left.stop()
      left.stop()
      await add()
      await soon(() => expect(stays.runs()).toHaveLength(2))
      expect(left.statuses()).toEqual([[first.run_id, 'pending']])
    })

    it('tells nothing to a subscriber that another one removed on the same news', async () => {
      const world = await setup()
      const { changes, add } = world
      let removed = false
      const heard: boolean[] = []
      const stops: (() => void)[] = []
      const listener = () => {
        heard.push(removed)
        removed = true
        for (const stop of stops) stop()
      }
      stops.push(
        changes.subscribe(() => listener()),
        changes.subscribe(() => listener()),
      )
      const witness = await listen(world)
      await add()
      await soon(() => expect(witness.runs()).toHaveLength(1))
      expect(heard).toEqual([false])
    })

    it('tells again after nobody listened for a while', async () => {
      const world = await setup()
      const { add } = world
      const before = await listen(world)
      before.stop()
      await add()
      const heard = await listen(world)
      const { run_id } = await add()
      await soon(() => expect(heard.statuses()).toEqual([[run_id, 'pending']]))
    })

    it('tells all of a burst, be it one commit or many', async () => {
      const world = await setup()
      const { add, runs, clock } = world
      const heard = await listen(world)
      const many = await Promise.all(Array.from({ length: 700 }, () => add()))
      const batch = Array.from({ length: ADD_LIMIT }, () => aNewRun())
      await runs.addMany(batch, clock.now())
      const ids = (added: { run_id: string }[]) => added.map(({ run_id }) => run_id)
      await soon(() => expect(heard.statuses()).toHaveLength(many.length + batch.length))
      const told = heard.statuses().map(([run_id]) => run_id)
      // Those that were added at once have no order among them; a batch has, and came later.
      expect(told.slice(0, many.length).sort()).toEqual(ids(many).sort())
      expect(told.slice(many.length)).toEqual(ids(batch))
    })
  })
}
