import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewRun, uniqueHex } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeRetry(setup: Setup): void {
  describe('retry', () => {
    it.each(['failed', 'stopped'] as const)(
      'adds a new pending run with the content of a %s one',
      async (status) => {
        const { bring, runs, runNow, sessionNow, clock } = await setup()
        const content = {
          parameters: { prompt: 'again', extra: [1] },
          agent_name: 'writer',
          project_dir: '/dir',
          execution_mode: 'async_poll' as const,
          scope: { tenant: 'x' },
          traceparent: 'the trace',
          demands: { hostname: 'alpha', tags: [] },
          timeout_seconds: 42,
          max_attempts: 1,
        }
        const { run } = await bring(status, content)
        clock.advance(10)
        const run_id = `run_${uniqueHex()}`
        const { run: retried } = await runs.retry(run.run_id, run_id, clock.now())
        const { timeout_seconds: _, traceparent, ...kept } = content
        expect(retried).toMatchObject({
          ...kept,
          run_id,
          session_id: run.session_id,
          type: run.type,
          priority: 0,
          status: 'pending',
          runner_id: null,
          error: null,
          result: null,
          attempt: 0,
          created_at: clock.now(),
          claimed_at: null,
          started_at: null,
          completed_at: null,
          timeout_at: clock.ahead(42),
        })
        expect(await runNow({ run_id })).toEqual(retried)
        expect(await runs.traceparent(run_id)).toBe(traceparent)
        expect(await runNow(run)).toEqual(run)
        expect((await sessionNow(run)).status).toBe('pending')
      },
    )

    it('is claimed like any other run', async () => {
      const { bring, register, claim, runs, clock } = await setup()
      const { run } = await bring('failed')
      await runs.retry(run.run_id, 'run_again', clock.now())
      expect(await claim(await register())).toMatchObject([{ run_id: 'run_again', attempt: 1 }])
    })

    it('does not take the idempotency key along', async () => {
      const { bring, runs, clock } = await setup()
      const idempotency = { key: 'k', fingerprint: 'f' }
      const { run } = await bring('failed', { idempotency })
      await runs.retry(run.run_id, 'run_again', clock.now())
      const repeated = await runs.add(aNewRun({ idempotency }), clock.now())
      expect(repeated.run.run_id).toBe(run.run_id)
    })

    it.each(['pending', 'claimed', 'running', 'stopping', 'completed'] as const)(
      'is refused of a run that is %s',
      async (status) => {
        const { bring, runs, runNow, clock } = await setup()
        const { run } = await bring(status)
        await refusal(runs.retry(run.run_id, 'run_again', clock.now()), 'run_wrong_status')
        expect(await runs.get('run_again')).toBeNull()
        expect(await runNow(run)).toEqual(run)
      },
    )

    it.each(['pending', 'claimed', 'running', 'stopping'] as const)(
      'is refused while another run of the session is %s',
      async (status) => {
        const { bring, runs, clock } = await setup()
        const { run } = await bring('failed')
        const { session_id } = run
        await bring(status, { type: 'resume_session', session_id })
        await refusal(runs.retry(run.run_id, 'run_again', clock.now()), 'session_active')
        expect(await runs.get('run_again')).toBeNull()
      },
    )

    it('is refused of a run that does not exist', async () => {
      const { runs, clock } = await setup()
      await refusal(runs.retry('run_unknown', 'run_again', clock.now()), 'run_not_found')
    })
  })
}
