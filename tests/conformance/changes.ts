import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Changes, News } from '../../src/queue/engine.ts'
import type { Setup } from './world.ts'

/** Collects what is told, until the test ends. */
function listen(changes: Changes) {
  const heard: News[] = []
  const stop = changes.subscribe((news) => heard.push(news))
  onTestFinished(stop)
  return {
    stop,
    statuses: () => heard.flatMap(({ runs }) => runs.map(({ run_id, status }) => [run_id, status])),
    runs: () => heard.flatMap(({ runs }) => runs),
    runner_ids: () => heard.flatMap(({ runner_ids }) => runner_ids),
  }
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 5000, interval: 5 })

export function describeChanges(setup: Setup): void {
  describe('changes', () => {
    it.each(['this', 'another'] as const)('tells of a run added by %s process', async (which) => {
      const { changes, add, open } = await setup()
      const heard = listen(which === 'this' ? changes : (await open()).changes)
      const { run_id, demands } = await add({ demands: { hostname: 'alpha', tags: ['t'] } })
      await soon(() => expect(heard.runs()).toEqual([{ run_id, status: 'pending', demands }]))
    })

    it('tells of runs that ended, in every way there is', async () => {
      const { open, add, bring, runs, clock } = await setup()
      const heard = listen((await open()).changes)
      const ended = []
      for (const status of ['completed', 'failed', 'stopped'] as const) {
        ended.push([(await bring(status)).run.run_id, status])
      }
      const cancelled = await add()
      await runs.stop(cancelled.run_id, clock.now())
      const late = await add({ demands: { tags: ['x'] }, timeout_seconds: 1 })
      await runs.failTimedOut(clock.advance(1), 10)
      ended.push([cancelled.run_id, 'stopped'], [late.run_id, 'failed'])
      await soon(() => expect(heard.statuses()).toEqual(expect.arrayContaining(ended)))
    })

    it('tells of runs that are claimable again, in every way there is', async () => {
      const { open, bring, runs, runners, clock } = await setup()
      const watcher = await open()
      const released = await bring('claimed')
      const failed = await bring('running', { max_attempts: 2 })
      const lost = await bring('running', { max_attempts: 2 })
      const unstarted = await bring('claimed')
      const heard = listen(watcher.changes)
      await runs.release(released.run.run_id, released.report.claim_token ?? '', clock.now())
      await runs.fail({ ...failed.report, error: 'x' }, clock.now())
      await runners.remove(lost.report.runner_id, clock.now())
      await runs.releaseUnstarted(clock.now(), clock.now(), 10)
      const again = [released, failed, lost, unstarted].map(({ run }) => [run.run_id, 'pending'])
      await soon(() => expect(heard.statuses()).toEqual(again))
    })

    it('tells of a run whose demands changed', async () => {
      const { changes, add, runs, clock } = await setup()
      const { run_id } = await add()
      const heard = listen(changes)
      const demands = { hostname: 'beta', tags: [] }
      await runs.setDemands(run_id, demands, 30, clock.now())
      await soon(() => expect(heard.runs()).toEqual([{ run_id, status: 'pending', demands }]))
    })

    it('tells only of runs that became claimable or ended, in order of commit', async () => {
      const { changes, bring } = await setup()
      const heard = listen(changes)
      const { run: first } = await bring('completed')
      const { run: second } = await bring('stopped')
      await soon(() =>
        expect(heard.statuses()).toEqual([
          [first.run_id, 'pending'],
          [first.run_id, 'completed'],
          [second.run_id, 'pending'],
          [second.run_id, 'stopped'],
        ]),
      )
    })

    it('tells of a runner that is asked to stop a run', async () => {
      const { bring, open, runs, clock } = await setup()
      const heard = listen((await open()).changes)
      const { run, report } = await bring('running')
      await runs.stop(run.run_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(report.runner_id))
    })

    it('tells of a runner that is asked to stop an idle session', async () => {
      const { bring, open, runs, sessions, clock } = await setup()
      const heard = listen((await open()).changes)
      const { run, report } = await bring('running')
      await runs.complete({ ...report, session_status: 'idle', result: null }, clock.now())
      await sessions.stop(run.session_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(report.runner_id))
    })

    it('tells of a runner that is marked for removal', async () => {
      const { register, open, runners, clock } = await setup()
      const heard = listen((await open()).changes)
      const { runner_id } = await register()
      await runners.deregister(runner_id, clock.now())
      await soon(() => expect(heard.runner_ids()).toContain(runner_id))
    })

    it('tells nothing of what was before', async () => {
      const { changes, add } = await setup()
      await add()
      const heard = listen(changes)
      const { run_id } = await add()
      await soon(() => expect(heard.statuses()).toContainEqual([run_id, 'pending']))
      expect(heard.statuses()).toEqual([[run_id, 'pending']])
    })

    it('tells every subscriber, and nothing more to one that left', async () => {
      const { changes, add } = await setup()
      const [left, stays] = [listen(changes), listen(changes)]
      const first = await add()
      await soon(() => expect([left.runs().length, stays.runs().length]).toEqual([1, 1]))
      left.stop()
      left.stop()
      await add()
      await soon(() => expect(stays.runs()).toHaveLength(2))
      expect(left.statuses()).toEqual([[first.run_id, 'pending']])
    })

    it('tells nothing to a subscriber that another one removed on the same news', async () => {
      const { changes, add } = await setup()
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
      const witness = listen(changes)
      await add()
      await soon(() => expect(witness.runs()).toHaveLength(1))
      expect(heard).toEqual([false])
    })

    it('tells again after nobody listened for a while', async () => {
      const { changes, add } = await setup()
      listen(changes).stop()
      await add()
      const heard = listen(changes)
      const { run_id } = await add()
      await soon(() => expect(heard.statuses()).toEqual([[run_id, 'pending']]))
    })

    it('tells all of a burst', async () => {
      const { changes, add } = await setup()
      const heard = listen(changes)
      const added = await Promise.all(Array.from({ length: 1200 }, () => add()))
      const expected = added.map(({ run_id }) => [run_id, 'pending'])
      await soon(() => expect(heard.statuses()).toHaveLength(1200))
      expect(heard.statuses()).toEqual(expected)
    })
  })
}
