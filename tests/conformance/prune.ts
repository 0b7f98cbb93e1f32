import { describe, expect, it } from 'vitest'
import { RUN_STATUSES, TERMINAL_STATUSES } from '../../src/queue/run.ts'
import { AT_HAND_STATUSES, SESSION_STATUSES } from '../../src/queue/session.ts'
import type { Pruned } from '../../src/queue/storage.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

const DAY = 24 * 3600
const ACTIVE = RUN_STATUSES.filter(
  (status) => !(TERMINAL_STATUSES as readonly string[]).includes(status),
)
const ENDED_SESSION = SESSION_STATUSES.filter(
  (status) => !(AT_HAND_STATUSES as readonly string[]).includes(status),
)

/** All that is older than a day goes, in as many calls as it takes. @returns what each deleted */
async function prune({ storage, clock }: World, limit = 100, dryRun = false): Promise<Pruned[]> {
  const calls: Pruned[] = []
  let after: string | undefined
  for (;;) {
    const pruned = await storage.prune({ before: clock.ago(DAY), limit, after, dryRun })
    calls.push(pruned)
    if (pruned.next === null) return calls
    after = pruned.next
  }
}

const sum = (calls: Pruned[]) => ({
  runs: calls.reduce((total, { runs }) => total + runs, 0),
  sessions: calls.reduce((total, { sessions }) => total + sessions, 0),
})

export function describePrune(setup: Setup): void {
  describe('prune', () => {
    it.each(TERMINAL_STATUSES)('deletes a %s run from before, with its session', async (status) => {
      const world = await setup()
      const { bring, runs, sessions, clock } = world
      const { run } = await bring(status)
      clock.advance(1)
      const { run: younger } = await bring(status)
      clock.advance(DAY)
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 1 })
      expect(await runs.get(run.run_id)).toBeNull()
      expect(await sessions.get(run.session_id)).toBeNull()
      await refusal(sessions.events(run.session_id), 'session_not_found')
      expect(await runs.get(younger.run_id)).toEqual(younger)
    })

    it('counts from the end of a run, not from its beginning', async () => {
      const world = await setup()
      const { bring, runs, runNow, clock } = world
      const { run, report } = await bring('running')
      clock.advance(DAY + 1)
      await runs.complete({ ...report, session_status: 'finished', result: null }, clock.now())
      expect(sum(await prune(world))).toEqual({ runs: 0, sessions: 0 })
      expect((await runNow(run)).status).toBe('completed')
      clock.advance(DAY + 1)
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 1 })
    })

    it.each(ACTIVE)('leaves a %s run, however old', async (status) => {
      const world = await setup()
      const { run } = await world.bring(status)
      world.clock.advance(1000 * DAY)
      expect(sum(await prune(world))).toEqual({ runs: 0, sessions: 0 })
      expect(await world.runNow(run)).toEqual(run)
    })

    it('keeps the newest run of an idle session, until the session is over', async () => {
      const world = await setup()
      const { bring, runs, sessions, runNow, clock } = world
      const { run, report } = await bring('running')
      const idle = { ...report, session_status: 'idle', result: { text: 'x', data: null } } as const
      await runs.complete(idle, clock.now())
      clock.advance(10 * DAY)
      expect(sum(await prune(world))).toEqual({ runs: 0, sessions: 0 })
      expect((await runNow(run)).status).toBe('completed')
      expect(await sessions.result(run.session_id)).toMatchObject({ result_text: 'x' })
      await sessions.stop(run.session_id, clock.now())
      await runs.settleUnconfirmedStops(clock.now(), clock.now(), 10)
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 1 })
    })

    it.each(AT_HAND_STATUSES)('deletes the older runs of a %s session', async (status) => {
      const world = await setup()
      const { add, bring, register, claim, runs, sessions, sessionNow, clock } = world
      const runner = await register()
      const { run } = await bring('completed', {}, runner)
      clock.advance(1)
      const { session_id } = run
      const resumed = await add({ type: 'resume_session', session_id })
      if (status !== 'pending') {
        const [claimed] = await claim(runner)
        const { run_id, claim_token } = claimed ?? expect.fail('nothing to claim')
        const report = { run_id, claim_token, runner_id: runner.runner_id }
        await runs.start(report, clock.now())
        const idle = { ...report, session_status: 'idle', result: null } as const
        if (status === 'idle') await runs.complete(idle, clock.now())
        if (status === 'stopping') await sessions.stop(session_id, clock.now())
      }
      expect((await sessionNow(run)).status).toBe(status)
      clock.advance(10 * DAY)
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 0 })
      expect(await runs.get(run.run_id)).toBeNull()
      expect(await runs.get(resumed.run_id)).not.toBeNull()
    })

    it('knows every status that a session may have', () => {
      expect(ENDED_SESSION).toEqual(['stopped', 'finished', 'failed'])
    })

    it('keeps a session of which a younger run is left', async () => {
      const world = await setup()
      const { add, bring, runs, sessionNow, clock } = world
      const { run } = await bring('completed')
      clock.advance(DAY)
      const again = await add({ type: 'resume_session', session_id: run.session_id })
      await runs.stop(again.run_id, clock.advance(1))
      expect(sum(await prune(world, 100, true))).toEqual({ runs: 1, sessions: 0 })
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 0 })
      expect((await sessionNow(run)).status).toBe('stopped')
      clock.advance(DAY + 1)
      expect(sum(await prune(world))).toEqual({ runs: 1, sessions: 1 })
    })

    it('looks at no more than asked for in a call, and goes on from there', async () => {
      const world = await setup()
      const { bring, register, runs, clock } = world
      const runner = await register()
      const idle = await bring('running', {}, runner)
      const kept = { ...idle.report, session_status: 'idle', result: null } as const
      await runs.complete(kept, clock.now())
      for (const status of TERMINAL_STATUSES) {
        for (let i = 0; i < 7; i++) await bring(status, {}, runner)
      }
      clock.advance(10 * DAY)
      const dry = await prune(world, 3, true)
      const calls = await prune(world, 3)
      expect(sum(calls)).toEqual({ runs: 21, sessions: 21 })
      expect(sum(dry)).toEqual(sum(calls))
      // A piece of each status at the most.
      for (const { runs } of calls) expect(runs).toBeLessThanOrEqual(3 * TERMINAL_STATUSES.length)
      expect(calls.length).toBeGreaterThan(21 / 9)
      const { runs: left } = await runs.list({ limit: 100 })
      expect(left.map(({ run_id }) => run_id)).toEqual([idle.run.run_id])
      expect(sum(await prune(world, 3))).toEqual({ runs: 0, sessions: 0 })
    })

    it('forgets the idempotency keys of what it deletes', async () => {
      const world = await setup()
      const { runs, clock } = world
      const idempotency = { key: 'once', fingerprint: 'f' }
      const { run } = await runs.add(aNewRun({ idempotency }), clock.now())
      await runs.stop(run.run_id, clock.now())
      expect((await runs.add(aNewRun({ idempotency }), clock.now())).run.run_id).toBe(run.run_id)
      clock.advance(10 * DAY)
      await prune(world)
      const { run: another } = await runs.add(aNewRun({ idempotency }), clock.now())
      expect(another.run_id).not.toBe(run.run_id)
    })

    it('goes on telling what is new after what was told is forgotten', async () => {
      const world = await setup()
      const { bring, add, changes, clock } = world
      await bring('completed')
      clock.advance(10 * DAY)
      await prune(world)
      let stop = () => {}
      const told = new Promise<string[]>((resolve) => {
        stop = changes.subscribe(({ runs }) => resolve(runs.map(({ run_id }) => run_id)))
      })
      const run = await add()
      expect(await told).toContain(run.run_id)
      stop()
    })

    it('done by two processes at once deletes each run once', async () => {
      const world = await setup()
      const { bring, register, open, clock } = world
      const other = { ...world, ...(await open()) }
      const runner = await register()
      for (let i = 0; i < 12; i++) await bring('completed', {}, runner)
      clock.advance(10 * DAY)
      const calls = await Promise.all([prune(world, 2), prune(other, 2), prune(world, 2)])
      expect(sum(calls.flat())).toEqual({ runs: 12, sessions: 12 })
    })

    it('refuses to go on from nowhere', async () => {
      const { storage, clock } = await setup()
      const call = storage.prune({ before: clock.now(), limit: 10, after: 'nonsense' })
      await refusal(call, 'invalid_cursor')
    })
  })
}
