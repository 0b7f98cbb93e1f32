/** A queue that takes so many pending runs and no more. */
import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

const BOUNDS = { max_pending: 3 }

export function describeMaxPending(setup: Setup): void {
  describe('max_pending', () => {
    it('refuses what is beyond it, and stores nothing', async () => {
      const { runs, sessions, clock } = await setup()
      for (let i = 0; i < 3; i++) await runs.add(aNewRun(), clock.now(), BOUNDS)
      const beyond = aNewRun()
      await refusal(runs.add(beyond, clock.now(), BOUNDS), 'queue_full')
      expect(await runs.get(beyond.run_id)).toBeNull()
      expect(await sessions.get(beyond.session_id)).toBeNull()
      await runs.add(aNewRun(), clock.now())
      await runs.add(aNewRun(), clock.now(), { max_pending: null })
      expect(await runs.pending(10)).toHaveLength(5)
    })

    it('takes a batch whole or not at all, and says where it was full', async () => {
      const { add, runs, clock } = await setup()
      await add()
      const batch = (size: number) => Array.from({ length: size }, () => aNewRun())
      const error = await refusal(runs.addMany(batch(3), clock.now(), BOUNDS), 'queue_full')
      expect(error.facts['index']).toBe(2)
      expect(await runs.pending(10)).toHaveLength(1)
      await runs.addMany(batch(2), clock.now(), BOUNDS)
      expect(await runs.pending(10)).toHaveLength(3)
    })

    it('counts what is pending: neither what is held nor what has ended', async () => {
      const { bring, runs, clock } = await setup()
      for (const status of ['claimed', 'running', 'stopping', 'completed'] as const) {
        await bring(status)
      }
      for (let i = 0; i < 3; i++) await runs.add(aNewRun(), clock.now(), BOUNDS)
      await refusal(runs.add(aNewRun(), clock.now(), BOUNDS), 'queue_full')
    })

    it('counts what waits for its time', async () => {
      const { runs, clock } = await setup()
      const delayed = () => aNewRun({ available_at: clock.ahead(10) })
      for (let i = 0; i < 3; i++) await runs.add(delayed(), clock.now(), BOUNDS)
      await refusal(runs.add(aNewRun(), clock.now(), BOUNDS), 'queue_full')
    })

    it('takes more as soon as runs are claimed, stopped or deleted', async () => {
      const { add, runs, sessions, register, claim, clock } = await setup()
      const runner = await register()
      const added = [await add(), await add(), await add()]
      const [, second, third] = added
      const full = () => refusal(runs.add(aNewRun(), clock.now(), BOUNDS), 'queue_full')
      const fits = () => runs.add(aNewRun(), clock.now(), BOUNDS)
      await full()
      await claim(runner)
      await fits()
      await full()
      await runs.stop(second?.run_id ?? '', clock.now())
      await fits()
      await full()
      await sessions.delete(third?.session_id ?? '')
      await fits()
      await full()
    })

    it('refuses a retry beyond it', async () => {
      const { bring, add, runs, sessionNow, clock } = await setup()
      const { run } = await bring('failed')
      for (let i = 0; i < 3; i++) await add()
      const retry = () => runs.retry(run.run_id, 'run_again', clock.now(), BOUNDS)
      await refusal(retry(), 'queue_full')
      expect((await sessionNow(run)).status).toBe('failed')
      expect(await runs.get('run_again')).toBeNull()
    })

    it('leads a repeated request to its run, full or not', async () => {
      const { add, runs, clock } = await setup()
      const idempotency = { key: 'k', fingerprint: 'f' }
      const first = await add({ idempotency })
      for (let i = 0; i < 2; i++) await add()
      const repeated = await runs.add(aNewRun({ idempotency }), clock.now(), BOUNDS)
      expect(repeated).toMatchObject({ created: false, run: { run_id: first.run_id } })
    })

    it('refuses nothing that comes back to the queue', async () => {
      const { bring, add, register, runs, runners, runNow, clock } = await setup()
      const runner = await register()
      const failing = await bring('running', { max_attempts: 2 })
      const requeued = { max_attempts: 2, on_lost: 'requeue' } as const
      const held = [await bring('claimed', {}, runner), await bring('running', requeued, runner)]
      for (let i = 0; i < 3; i++) await add()
      await runs.fail({ ...failing.report, error: 'once' }, clock.now())
      await runners.remove(runner.runner_id, clock.now())
      for (const { run } of [failing, ...held]) expect((await runNow(run)).status).toBe('pending')
      await refusal(runs.add(aNewRun(), clock.now(), { max_pending: 6 }), 'queue_full')
      await runs.add(aNewRun(), clock.now(), { max_pending: 7 })
    })

    it('holds when two processes add at once', async () => {
      const { runs, open, clock } = await setup()
      const other = await open()
      const adding = Array.from({ length: 12 }, (_, i) =>
        (i % 2 ? runs : other.runs).add(aNewRun(), clock.now(), BOUNDS),
      )
      const settled = await Promise.allSettled(adding)
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
      expect(await runs.pending(20)).toHaveLength(3)
    })
  })
}
