/** POST /runs/{id}/stop, and how the runner is told. */
import { describe, expect, test } from 'vitest'
import { expectRefusal } from './support/api.ts'
import type { Setup } from './support/service.ts'

export function describeStoppingRuns(setup: Setup): void {
  describe('POST /runs/{id}/stop', () => {
    test('of no run', async () => {
      const { post } = await setup()
      expectRefusal(await post('/runs/run_gone/stop'), 404, 'run_not_found', 'Run not found')
    })

    test('a pending run is stopped at once, with its session', async () => {
      const { addRun, post, run, session, register, poll, clock } = await setup()
      const { run_id, session_id } = await addRun()
      clock.advance(5)
      const answer = await post(`/runs/${run_id}/stop`)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({
        ...{ ok: true, run_id, session_id, status: 'stopped' },
        message: 'Run cancelled before execution',
      })
      expect(await run(run_id)).toMatchObject({
        ...{ status: 'stopped', completed_at: clock.now(), runner_id: null },
      })
      expect((await session(session_id)).status).toBe('stopped')
      expect((await poll(await register())).status).toBe(204)
    })

    test.each(['claimed', 'running'])('a %s run is stopped by its runner', async (status) => {
      const service = await setup()
      const held = status === 'claimed' ? await service.hold() : await service.begin()
      const { run_id, session_id } = held.run
      const answer = await service.post(`/runs/${run_id}/stop`)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({ ok: true, run_id, session_id, status: 'stopping' })
      expect((await service.run(run_id)).status).toBe('stopping')
      expect((await service.session(session_id)).status).toBe('stopping')
      const told = await service.poll(held.runner_id)
      expect(told.status).toBe(200)
      expect(told.body).toEqual({ stop_runs: [run_id], stop_sessions: [session_id] })
      expect((await service.report('stopped', held, { signal: 'SIGTERM' })).status).toBe(200)
      expect((await service.run(run_id)).status).toBe('stopped')
      expect((await service.session(session_id)).status).toBe('stopped')
    })

    test('a run that is stopping already: the same, and its runner is not told anew', async () => {
      const { begin, post, poll } = await setup()
      const { run, runner_id } = await begin()
      const first = await post(`/runs/${run.run_id}/stop`)
      expect((await poll(runner_id)).body).toHaveProperty('stop_runs')
      const second = await post(`/runs/${run.run_id}/stop`)
      expect(second).toMatchObject({ status: 200, body: first.body })
      expect(Object.keys(second.body)).toEqual(Object.keys(first.body))
      expect((await poll(runner_id)).status).toBe(204)
    })

    test.each([
      ['completed', {}, 'finished'],
      ['completed', { session_status: 'idle' }, 'idle'],
      ['failed', { error: 'broken' }, 'failed'],
      ['stopped', {}, 'stopped'],
    ])('a run that is %s %j: nothing changes', async (how, facts, word) => {
      const service = await setup()
      const held = await service.begin()
      const { run_id, session_id } = held.run
      await service.report(how, held, facts)
      const before = await service.everything()
      const answer = await service.post(`/runs/${run_id}/stop`)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({
        ...{ ok: true, run_id, session_id, status: word },
        message: `Session already ${word}`,
      })
      expect(await service.everything()).toEqual(before)
    })

    test('told again when 30 s have passed without a word, not before', async () => {
      const { begin, post, poll, clock, report } = await setup()
      const held = await begin()
      await post(`/runs/${held.run.run_id}/stop`)
      const told = { stop_runs: [held.run.run_id], stop_sessions: [held.run.session_id] }
      expect((await poll(held.runner_id)).body).toEqual(told)
      clock.advance(29.999)
      expect((await poll(held.runner_id)).status).toBe(204)
      clock.advance(0.001)
      expect((await poll(held.runner_id)).body).toEqual(told)
      clock.advance(29.999)
      expect((await poll(held.runner_id)).status).toBe(204)
      await report('stopped', held)
      clock.advance(60)
      expect((await poll(held.runner_id)).status).toBe(204)
    })

    test('the latest run of a session is stopped, not its first', async () => {
      const { begin, report, addRun, claim, post, poll } = await setup()
      const first = await begin()
      await report('completed', first, { session_status: 'idle' })
      const { session_id } = first.run
      const resumed = await addRun({ type: 'resume_session', session_id })
      await claim(first.runner_id)
      expect((await post(`/sessions/${session_id}/stop`)).body).toMatchObject({
        run_id: resumed.run_id,
      })
      expect((await poll(first.runner_id)).body).toEqual({
        stop_runs: [resumed.run_id],
        stop_sessions: [session_id],
      })
    })

    test('a stop between the claim and a late start: the start is taken, the stop stays', async () => {
      const { hold, post, report, run, poll } = await setup()
      const held = await hold()
      await post(`/runs/${held.run.run_id}/stop`)
      expect(await report('started', held)).toMatchObject({ status: 200, body: { ok: true } })
      expect((await run(held.run.run_id)).status).toBe('stopping')
      expect((await poll(held.runner_id)).body).toHaveProperty('stop_runs', [held.run.run_id])
    })

    test('a run that ends on its own while it is being stopped keeps its end', async () => {
      const { begin, post, report, run, session } = await setup()
      const held = await begin()
      await post(`/runs/${held.run.run_id}/stop`)
      expect((await report('completed', held)).status).toBe(200)
      expect((await run(held.run.run_id)).status).toBe('completed')
      expect((await session(held.run.session_id)).status).toBe('finished')
    })
  })
}
