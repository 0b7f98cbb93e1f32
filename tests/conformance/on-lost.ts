/** What becomes of a run at work whose runner is lost, in each way in which that is found out. */
import { describe, expect, it } from 'vitest'
import type { NewRun } from '../../src/queue/run.ts'
import { secondsBetween } from '../../src/queue/time.ts'
import { refusal } from '../support/errors.ts'
import type { Held, Setup, World } from './world.ts'

type Lose = (world: World, held: Held) => Promise<unknown>

const recover =
  (mode: 'stale' | 'all'): Lose =>
  ({ runs, clock }) =>
    runs.recover(mode, { thresholdSeconds: 0, aliveSince: clock.now() }, clock.now())

const toldToGo: Lose = async ({ runners, runs, clock }, { report }) => {
  const { runner_id } = report
  await runners.deregister(runner_id, clock.now())
  await runs.poll({ runner_id, limit: 1, claim_key: null, tokens: ['t'] }, clock.now(), clock.now())
}

const LOSSES: [string, Lose][] = [
  ['told to go', toldToGo],
  ['removed', ({ runners, clock }, { report }) => runners.remove(report.runner_id, clock.now())],
  ['silent', ({ runners, clock }) => runners.removeLost(clock.now(), clock.now(), 10)],
  ['found gone at a start (stale)', recover('stale')],
  ['found gone at a start (all)', recover('all')],
]

export function describeOnLost(setup: Setup): void {
  describe.each(LOSSES)('on_lost, its runner %s', (_, lose) => {
    async function lost(facts: Partial<NewRun>) {
      const world = await setup()
      const held = await world.bring('running', facts)
      world.clock.advance(3600)
      await lose(world, held)
      return { ...world, held, run: await world.runNow(held.run) }
    }

    it.each([undefined, 'fail'] as const)(
      '%s: it fails, whatever attempts are left',
      async (on) => {
        const { run, sessionNow, register, claim, clock } = await lost({
          ...{ max_attempts: 5, retry_delay_seconds: 10 },
          ...(on && { on_lost: on }),
        })
        const ended = { status: 'failed', on_lost: 'fail', attempt: 1, available_at: null }
        expect(run).toMatchObject({ ...ended, completed_at: clock.now() })
        expect((await sessionNow(run)).status).toBe('failed')
        expect(await claim(await register())).toEqual([])
      },
    )

    it('requeue: it is pending again while attempts are left', async () => {
      const { run, sessionNow, register, claim } = await lost({
        ...{ max_attempts: 2, on_lost: 'requeue' },
      })
      const waiting = { status: 'pending', runner_id: null, attempt: 1, available_at: null }
      expect(run).toMatchObject({ ...waiting, claimed_at: null, started_at: null })
      expect((await sessionNow(run)).status).toBe('pending')
      expect(await claim(await register())).toMatchObject([{ run_id: run.run_id, attempt: 2 }])
    })

    it('requeue: it waits as a retry does', async () => {
      const { run, clock } = await lost({
        ...{ max_attempts: 2, on_lost: 'requeue', retry_delay_seconds: 10 },
        ...{ demands: { hostname: 'alpha', tags: [] }, timeout_seconds: 60 },
      })
      const waits = secondsBetween(clock.now(), run.available_at ?? '')
      expect(waits).toBeGreaterThanOrEqual(10)
      expect(waits).toBeLessThanOrEqual(12.5)
      expect(secondsBetween(run.available_at ?? '', run.timeout_at ?? '')).toBe(60)
    })

    it('requeue: it fails with the last attempt', async () => {
      const { run } = await lost({ max_attempts: 1, on_lost: 'requeue' })
      expect(run).toMatchObject({ status: 'failed', attempt: 1 })
    })

    it('what a lost runner still reports changes nothing', async () => {
      const { run, held, runs, runners, runNow, register, clock } = await lost({
        ...{ max_attempts: 2, on_lost: 'requeue' },
      })
      const { runner_id } = held.report
      if (await runners.get(runner_id)) await runners.remove(runner_id, clock.now())
      await register({ runner_id })
      const end = { ...held.report, session_status: 'finished', result: null } as const
      await refusal(runs.complete(end, clock.now()), 'run_not_held')
      expect(await runNow(run)).toEqual(run)
    })
  })

  describe('on_lost', () => {
    it('says nothing of a failure that is reported: that is tried again', async () => {
      const { bring, runs, runNow, clock } = await setup()
      for (const on_lost of ['fail', 'requeue'] as const) {
        const { run, report } = await bring('running', { max_attempts: 2, on_lost })
        await runs.fail({ ...report, error: 'once' }, clock.now())
        expect((await runNow(run)).status).toBe('pending')
        await runs.stop(run.run_id, clock.now())
      }
    })

    it('says nothing of a claim that was not begun: that is given back', async () => {
      const { bring, runners, runNow, clock } = await setup()
      const { run, report } = await bring('claimed', { max_attempts: 2 })
      await runners.remove(report.runner_id, clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'pending', attempt: 0 })
    })

    it('never leads beyond max_attempts, in turn with failures', async () => {
      const { add, register, claim, runs, runners, runNow, clock } = await setup()
      const run = await add({ max_attempts: 4, on_lost: 'requeue' })
      for (const attempt of [1, 2, 3, 4]) {
        const { runner_id } = await register()
        const [claimed] = await claim({ runner_id })
        expect(claimed).toMatchObject({ run_id: run.run_id, attempt })
        const report = { run_id: run.run_id, runner_id, claim_token: claimed?.claim_token ?? null }
        await runs.start(report, clock.now())
        if (attempt % 2) await runs.fail({ ...report, error: 'no' }, clock.now())
        else await runners.remove(runner_id, clock.now())
      }
      expect(await runNow(run)).toMatchObject({ status: 'failed', attempt: 4 })
      expect(await claim(await register())).toEqual([])
    })
  })
}
