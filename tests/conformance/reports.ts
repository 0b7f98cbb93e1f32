import { describe, expect, it } from 'vitest'
import { MATCH_TIMEOUT_SECONDS } from '../../src/queue/run-queue.ts'
import type { Setup } from './world.ts'

export function describeReports(setup: Setup): void {
  describe('start', () => {
    it('sets the run and its session running', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('claimed')
      await runs.start(report, clock.advance(2))
      expect(await runNow(run)).toEqual({ ...run, status: 'running', started_at: clock.now() })
      expect((await sessionNow(run)).status).toBe('running')
    })

    it('tells the session who its parent is', async () => {
      const { add, bring, sessionNow } = await setup()
      const { run } = await bring('completed')
      const [one, two] = [await add(), await add()]
      const { run: child } = await bringResumed(one.session_id)
      expect((await sessionNow(child)).parent_session_id).toBe(one.session_id)
      const { run: again } = await bringResumed(two.session_id)
      expect((await sessionNow(again)).parent_session_id).toBe(two.session_id)
      const { run: orphan } = await bringResumed(null)
      expect((await sessionNow(orphan)).parent_session_id).toBe(two.session_id)

      function bringResumed(parent_session_id: string | null) {
        const { session_id } = run
        const urgent = { type: 'resume_session', session_id, priority: 1 } as const
        return bring('running', { ...urgent, parent_session_id })
      }
    })

    it('leaves an event in the session', async () => {
      const { bring, sessions, clock } = await setup()
      const { run } = await bring('running')
      const { session_id } = run
      expect(await sessions.events(session_id)).toMatchObject([
        { session_id, event_type: 'run_start', timestamp: clock.now() },
      ])
    })

    it.each(['running', 'stopping', 'completed', 'failed', 'stopped'] as const)(
      'that comes late, to a run that is %s, changes nothing',
      async (status) => {
        const { bring, runs, runNow, sessions, sessionNow, clock } = await setup()
        const { run, report } = await bring(status)
        const session = await sessionNow(run)
        const events = await sessions.events(run.session_id)
        await runs.start(report, clock.advance(1))
        await runs.start({ ...report, claim_token: null }, clock.advance(1))
        expect(await runNow(run)).toEqual(run)
        expect(await sessionNow(run)).toEqual(session)
        expect(await sessions.events(run.session_id)).toEqual(events)
      },
    )

    it('after a stop was asked for leaves the run stopping', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('claimed')
      await runs.stop(run.run_id, clock.now())
      await runs.start(report, clock.advance(1))
      expect(await runNow(run)).toMatchObject({ status: 'stopping', started_at: null })
      expect((await sessionNow(run)).status).toBe('stopping')
    })
  })

  describe('complete', () => {
    it.each(['finished', 'idle'] as const)(
      'ends the run with its result; the session is %s',
      async (session_status) => {
        const { bring, runs, runNow, sessionNow, clock } = await setup()
        const { run, report } = await bring('running')
        const result = { text: 'done "so" 𝒳', data: { list: [1, { deep: null }] } }
        await runs.complete({ ...report, session_status, result }, clock.advance(2))
        expect(await runNow(run)).toEqual({
          ...run,
          status: 'completed',
          result,
          completed_at: clock.now(),
        })
        expect((await sessionNow(run)).status).toBe(session_status)
      },
    )

    it('leaves an event in the session', async () => {
      const { bring, sessions } = await setup()
      const { run } = await bring('completed')
      expect(await sessions.events(run.session_id)).toMatchObject([
        { event_type: 'run_start' },
        { event_type: 'run_completed', exit_code: 0, reason: 'completed' },
      ])
    })
  })

  describe('complete, on a later attempt', () => {
    it('leaves no error of the attempts before', async () => {
      const { bring, register, claim, runs, runNow, clock } = await setup()
      const runner = await register()
      const { run, report } = await bring('running', { max_attempts: 2 }, runner)
      await runs.fail({ ...report, error: 'once' }, clock.now())
      const [again] = await claim(runner)
      const second = { ...report, claim_token: again?.claim_token ?? null }
      const completion = { session_status: 'finished', result: null } as const
      await runs.complete({ ...second, ...completion }, clock.advance(1))
      expect(await runNow(run)).toMatchObject({ status: 'completed', attempt: 2, error: null })
    })
  })

  describe('fail', () => {
    it('ends the run and its session with the error', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('running')
      await runs.fail({ ...report, error: 'out of "luck"' }, clock.advance(2))
      expect(await runNow(run)).toEqual({
        ...run,
        status: 'failed',
        error: 'out of "luck"',
        completed_at: clock.now(),
      })
      expect((await sessionNow(run)).status).toBe('failed')
    })

    it.each(['claimed', 'running'] as const)(
      'makes a %s run pending again while attempts are left',
      async (status) => {
        const { bring, runs, runNow, sessionNow, clock } = await setup()
        const facts = { max_attempts: 2, demands: { hostname: 'alpha', tags: [] } }
        const { run, report } = await bring(status, facts)
        await runs.fail({ ...report, error: 'once' }, clock.advance(200))
        expect(await runNow(run)).toMatchObject({
          status: 'pending',
          error: 'once',
          attempt: 1,
          runner_id: null,
          claimed_at: null,
          started_at: null,
          completed_at: null,
          timeout_at: clock.ahead(MATCH_TIMEOUT_SECONDS),
        })
        expect((await sessionNow(run)).status).toBe('pending')
      },
    )

    it('fails for good with the last attempt', async () => {
      const { add, register, claim, runs, runNow, clock } = await setup()
      const runner = await register()
      const added = await add({ max_attempts: 3, traceparent: 'the trace' })
      for (const attempt of [1, 2, 3]) {
        const [run] = await claim(runner)
        expect(run).toMatchObject({ run_id: added.run_id, attempt, traceparent: 'the trace' })
        const report = { ...runner, run_id: added.run_id, claim_token: run?.claim_token ?? null }
        await runs.start(report, clock.now())
        await runs.fail({ ...report, error: `no ${attempt}` }, clock.advance(1))
      }
      expect(await runNow(added)).toMatchObject({ status: 'failed', error: 'no 3', attempt: 3 })
      expect(await claim(runner)).toEqual([])
    })

    it('is no new attempt when a stop was asked for', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring('stopping', { max_attempts: 3 })
      await runs.fail({ ...report, error: 'killed' }, clock.now())
      expect((await runNow(run)).status).toBe('failed')
    })

    it('repeated while the run waits for its next attempt changes nothing', async () => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring('running', { max_attempts: 3 })
      await runs.fail({ ...report, error: 'once' }, clock.now())
      const [waiting, session] = [await runNow(run), await sessionNow(run)]
      await runs.fail({ ...report, error: 'twice' }, clock.advance(1))
      expect(await runNow(run)).toEqual(waiting)
      expect(await sessionNow(run)).toEqual(session)
    })
  })

  describe('confirmStop', () => {
    it.each(['claimed', 'running', 'stopping'] as const)(
      'stops a %s run and its session, asked or not',
      async (status) => {
        const { bring, runs, runNow, sessionNow, clock } = await setup()
        const { run, report } = await bring(status, { max_attempts: 3 })
        await runs.confirmStop(report, clock.advance(2))
        const completed_at = clock.now()
        expect(await runNow(run)).toEqual({ ...run, status: 'stopped', completed_at })
        expect((await sessionNow(run)).status).toBe('stopped')
      },
    )
  })
}
