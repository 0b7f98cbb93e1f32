import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeIdempotency(setup: Setup): void {
  describe('add: idempotency key', () => {
    const idempotency = { key: 'order-1', fingerprint: 'same' }

    it('leads a repeated request to the first run as it is now, and adds nothing', async () => {
      const { runs, sessions, add, bring, runNow, clock } = await setup()
      const { run } = await bring('running', { idempotency })
      const again = aNewRun({ idempotency })
      const repeated = await runs.add(again, clock.advance(1))
      expect(repeated).toEqual({ run: await runNow(run), created: false, matching_runners: 1 })
      expect(repeated.run.status).toBe('running')
      expect(await runs.get(again.run_id)).toBeNull()
      expect(await sessions.get(again.session_id)).toBeNull()
      expect((await add()).run_id).not.toBe(run.run_id)
    })

    it('holds however the first run ended, and in another process', async () => {
      const { bring, open, clock } = await setup()
      const { run } = await bring('failed', { idempotency })
      const other = await open()
      const repeated = await other.runs.add(aNewRun({ idempotency }), clock.now())
      expect(repeated).toMatchObject({ created: false, run: { run_id: run.run_id } })
    })

    it('comes before what else could refuse the repeated request', async () => {
      const { runs, add, clock } = await setup()
      const first = await add({ idempotency })
      const { session_id } = first
      const repeated = await runs.add(aNewRun({ session_id, idempotency }), clock.now())
      expect(repeated.run.run_id).toBe(first.run_id)
    })

    it('refuses another request under the same key, and stores nothing', async () => {
      const { runs, sessions, add, clock } = await setup()
      await add({ idempotency })
      const other = aNewRun({ idempotency: { ...idempotency, fingerprint: 'other' } })
      await refusal(runs.add(other, clock.now()), 'idempotency_conflict')
      expect(await runs.get(other.run_id)).toBeNull()
      expect(await sessions.get(other.session_id)).toBeNull()
    })

    it('adds one run when two processes send the request at once', async () => {
      const { runs, open, clock } = await setup()
      const other = await open()
      const answers = await Promise.all(
        [runs, other.runs, runs, other.runs].map((queue) =>
          queue.add(aNewRun({ idempotency }), clock.now()),
        ),
      )
      expect(new Set(answers.map(({ run }) => run.run_id)).size).toBe(1)
      expect(answers.filter(({ created }) => created)).toHaveLength(1)
      expect((await runs.list({ limit: 10 })).runs).toHaveLength(1)
    })
  })
}
