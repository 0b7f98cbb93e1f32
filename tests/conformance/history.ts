/** Every change of a run leaves an event that says why, by whom and in which attempt. */
import { describe, expect, it } from 'vitest'
import type { Cause } from '../../src/queue/cause.ts'
import type { RunStatus } from '../../src/queue/run.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Held, Setup, World } from './world.ts'

const caller = { token_id: 'tok_1', name: 'nightly', role: 'client' } as const
const noBounds = { max_pending: null }
const allEvents = async ({ runs }: World, { run_id }: { run_id: string }) =>
  (await runs.events(run_id, { limit: 1000 })).events

interface Move {
  name: string
  /** The run before. */
  from: RunStatus
  facts?: Parameters<World['bring']>[1]
  move: (world: World, held: Held) => Promise<unknown>
  /** The event then: to which status, why and by whom. */
  to: RunStatus
  cause: Cause
  changed_by: string
  attempt?: number
  detail?: string
}

const runner = { changed_by: 'runner' }
const service = { changed_by: 'service' }
const far = (world: World) => world.clock.advance(3600)
const twice = { max_attempts: 2 }
const matchable = { demands: { tags: ['nobody'] } }
const recover = (world: World) =>
  world.runs.recover('all', { thresholdSeconds: 0, aliveSince: far(world) }, far(world))
const fail = ({ runs, clock }: World, { report }: Held) =>
  runs.fail({ ...report, error: `b${'o'.repeat(2000)}m` }, clock.now())
const removed = async ({ runners, clock }: World, { report }: Held) =>
  runners.remove(report.runner_id, clock.now())
const lost = async (world: World) => {
  await world.runners.removeLost(far(world), world.clock.now(), 10)
}
const dismissed = async ({ runners, runs, clock }: World, { report: { runner_id } }: Held) => {
  await runners.deregister(runner_id, clock.now())
  const look = { runner_id, limit: 1, claim_key: null, tokens: ['t'] }
  await runs.poll(look, clock.now(), clock.now())
}
const detail = `b${'o'.repeat(999)}`
const gone = 'Runner disconnected during execution'

const MOVES: Move[] = [
  {
    ...{ name: 'a claim', from: 'pending', to: 'claimed', cause: 'claimed', ...runner, attempt: 1 },
    move: async ({ claim, register }) => claim(await register()),
  },
  {
    ...{ name: 'a claim that is given back', from: 'claimed', to: 'pending' },
    ...{ cause: 'claim_released', ...service, attempt: 1 },
    move: ({ runs, clock }, { run, report }) =>
      runs.release(run.run_id, report.claim_token ?? '', clock.now()),
  },
  {
    ...{ name: 'a claim that never started', from: 'claimed', to: 'pending' },
    ...{ cause: 'claim_timed_out', ...service },
    move: (world) => world.runs.releaseUnstarted(far(world), world.clock.now(), 10),
  },
  {
    ...{ name: 'a start', from: 'claimed', to: 'running', cause: 'started', ...runner },
    move: ({ runs, clock }, { report }) => runs.start(report, clock.now()),
  },
  {
    ...{ name: 'a completion', from: 'running', to: 'completed', cause: 'completed', ...runner },
    move: ({ runs, clock }, { report }) =>
      runs.complete({ ...report, session_status: 'finished', result: null }, clock.now()),
  },
  {
    ...{ name: 'a failure', from: 'running', to: 'failed', cause: 'failed', ...runner, detail },
    move: fail,
  },
  {
    ...{ name: 'a failure with attempts left', from: 'running', facts: twice, to: 'pending' },
    ...{ cause: 'attempt_failed', ...runner, detail },
    move: fail,
  },
  {
    ...{ name: 'a stop of a pending run', from: 'pending', to: 'stopped', cause: 'cancelled' },
    ...{ changed_by: 'client:nightly', attempt: 0 },
    move: ({ runs, clock }, { run }) => runs.stop(run.run_id, clock.now(), caller),
  },
  {
    ...{ name: 'a stop', from: 'running', to: 'stopping', cause: 'stop_requested' },
    ...{ changed_by: 'client' },
    move: ({ runs, clock }, { run }) => runs.stop(run.run_id, clock.now()),
  },
  {
    ...{ name: 'a stop of the session', from: 'running', to: 'stopping', cause: 'stop_requested' },
    ...{ changed_by: 'client:nightly' },
    move: ({ sessions, clock }, { run }) => sessions.stop(run.session_id, clock.now(), caller),
  },
  {
    ...{ name: 'a stop that is confirmed', from: 'stopping', to: 'stopped', cause: 'stopped' },
    ...runner,
    move: ({ runs, clock }, { report }) => runs.confirmStop(report, clock.now()),
  },
  {
    ...{ name: 'a stop that is not confirmed', from: 'stopping', to: 'stopped' },
    ...{ cause: 'stop_timed_out', ...service },
    move: (world) => world.runs.settleUnconfirmedStops(far(world), world.clock.now(), 10),
  },
  {
    ...{ name: 'no match in time', from: 'pending', facts: matchable, to: 'failed' },
    ...{ cause: 'match_timed_out', ...service, attempt: 0 },
    detail: 'No matching runner available within timeout',
    move: (world) => world.runs.failTimedOut(far(world), 10),
  },
  {
    ...{ name: 'new demands', from: 'pending', to: 'pending', cause: 'demands_changed' },
    ...{ changed_by: 'client', attempt: 0 },
    move: ({ runs, clock }, { run }) =>
      runs.setDemands(run.run_id, { tags: ['a'] }, 60, clock.now()),
  },
  ...(
    [
      ['is lost', 'runner_lost', 'service', lost],
      ['signs off', 'runner_removed', 'runner', removed],
      ['was sent away', 'runner_removed', 'service', dismissed],
    ] as const
  ).flatMap(([what, cause, changed_by, move]): Move[] => [
    {
      ...{ name: `a runner that ${what} with a claim`, from: 'claimed', to: 'pending' },
      ...{ cause, changed_by, move },
    },
    {
      ...{ name: `a runner that ${what} at work`, from: 'running', to: 'failed' },
      ...{ cause, changed_by, move, detail: gone },
    },
    {
      ...{ name: `a runner that ${what} at what may be repeated`, from: 'running', to: 'pending' },
      ...{ facts: { ...twice, on_lost: 'requeue' }, cause, changed_by, move, detail: gone },
    },
    {
      ...{ name: `a runner that ${what} while stopping`, from: 'stopping', to: 'stopped' },
      ...{ cause, changed_by, move },
    },
  ]),
  {
    ...{ name: 'a recovered claim', from: 'claimed', to: 'pending', cause: 'recovered' },
    ...{ ...service, move: recover },
  },
  {
    ...{ name: 'a recovered run', from: 'running', to: 'failed', cause: 'recovered', ...service },
    ...{ move: recover, detail: 'Coordinator restarted - execution state unknown' },
  },
  {
    ...{ name: 'a recovered stop', from: 'stopping', to: 'stopped', cause: 'recovered' },
    ...{ ...service, move: recover },
  },
]

export function describeHistory(setup: Setup): void {
  describe('the history of a run', () => {
    it.each(MOVES)('tells of $name from $from: $cause by $changed_by', async (given) => {
      const world = await setup()
      const held = await world.bring(given.from, given.facts)
      const before = await allEvents(world, held.run)
      await given.move(world, held)
      const [event, ...more] = (await allEvents(world, held.run)).slice(before.length)
      const { runner_id } = held.report
      expect(more).toEqual([])
      expect(event).toEqual({
        event_id: expect.any(Number),
        run_id: held.run.run_id,
        at: world.clock.now(),
        from_status: given.from,
        to_status: given.to,
        cause: given.cause,
        changed_by: given.changed_by,
        runner_id: given.from !== 'pending' ? runner_id : (await world.runNow(held.run)).runner_id,
        attempt: given.attempt ?? 1,
        detail: given.detail ?? null,
      })
    })

    it('begins with who added it', async () => {
      const world = await setup()
      const { runs, clock } = world
      const added = await runs.add(aNewRun(), clock.now())
      const named = await runs.add(aNewRun(), clock.now(), { ...noBounds, caller })
      const [many] = await runs.addMany([aNewRun()], clock.now(), { ...noBounds, caller })
      const first = { from_status: null, to_status: 'pending', cause: 'added', attempt: 0 }
      expect(await allEvents(world, added.run)).toMatchObject([{ ...first, changed_by: 'client' }])
      for (const { run } of [named, many ?? named]) {
        const [event] = await allEvents(world, run)
        expect(event).toMatchObject({ ...first, changed_by: 'client:nightly' })
      }
    })

    it('begins anew for a retry', async () => {
      const world = await setup()
      const { run } = await world.bring('failed')
      const { run: again } = await world.runs.retry(run.run_id, 'run_again', far(world), {
        ...noBounds,
        caller,
      })
      expect(await allEvents(world, again)).toMatchObject([
        { cause: 'added', changed_by: 'client:nightly', at: world.clock.now() },
      ])
    })

    it('tells that its time came', async () => {
      const world = await setup()
      const run = await world.add({ available_at: world.clock.ahead(60) })
      await world.runs.makeAvailable(far(world), 10)
      expect((await allEvents(world, run)).at(-1)).toMatchObject({
        ...{ from_status: 'pending', to_status: 'pending', cause: 'became_available', ...service },
      })
    })

    it('tells the same error of each attempt, and of no other change', async () => {
      const world = await setup()
      const { runs, clock, claim } = world
      const { run, report } = await world.bring('running', { max_attempts: 3 })
      await runs.fail({ ...report, error: 'boom' }, clock.now())
      const [second] = await claim(report)
      await runs.release(run.run_id, second?.claim_token ?? '', clock.now())
      const [third] = await claim(report)
      const again = { ...report, claim_token: third?.claim_token ?? '' }
      await runs.fail({ ...again, error: 'boom' }, clock.now())
      await claim(report)
      const told = (await allEvents(world, run)).map(({ cause, attempt, detail }) => [
        ...[cause, attempt, detail],
      ])
      expect(told).toEqual([
        ['added', 0, null],
        ['claimed', 1, null],
        ['started', 1, null],
        ['attempt_failed', 1, 'boom'],
        ['claimed', 2, null],
        ['claim_released', 2, null],
        ['claimed', 2, null],
        ['attempt_failed', 2, 'boom'],
        ['claimed', 3, null],
      ])
    })

    it('comes in pages', async () => {
      const world = await setup()
      const { run } = await world.bring('completed')
      await world.bring('completed')
      const all = await allEvents(world, run)
      const first = await world.runs.events(run.run_id, { limit: 3 })
      expect(first.events).toEqual(all.slice(0, 3))
      const cursor = first.next_cursor ?? ''
      const last = await world.runs.events(run.run_id, { limit: 3, cursor })
      expect(last).toEqual({ events: all.slice(3), next_cursor: null })
      await refusal(world.runs.events(run.run_id, { limit: 3, cursor: 'x' }), 'invalid_cursor')
    })

    it('of no run is refused', async () => {
      const { runs } = await setup()
      await refusal(runs.events('run_unknown', { limit: 10 }), 'run_not_found')
    })

    it('goes with the run, by retention or with its session', async () => {
      const world = await setup()
      const { storage, sessions, runs } = world
      const [pruned, deleted, kept] = [
        await world.bring('completed'),
        await world.bring('stopped'),
        await world.bring('running'),
      ]
      await sessions.delete(deleted.run.session_id)
      await refusal(runs.events(deleted.run.run_id, { limit: 10 }), 'run_not_found')
      await storage.prune({ before: far(world), limit: 10 })
      await refusal(runs.events(pruned.run.run_id, { limit: 10 }), 'run_not_found')
      expect(await allEvents(world, kept.run)).toHaveLength(3)
    })
  })
}
