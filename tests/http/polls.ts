/** GET /runner/runs and POST /runner/runs/claim: what a poll is told, and in which order. */
import { describe, expect, test } from 'vitest'
import type { ClaimedRunView } from '../../src/http/views.ts'
import { type Body, expectInvalid, expectRefusal } from './support/api.ts'
import type { Claimed, Setup } from './support/service.ts'

const NOTHING: Claimed = { runs: [], stop_runs: [], stop_sessions: [], deregistered: false }

export function describePolls(setup: Setup): void {
  describe('GET /runner/runs', () => {
    test('nothing: 204 with an empty body when the time is up', async () => {
      const { register, poll } = await setup({ config: { pollTimeoutSeconds: 0.3 } })
      const runner_id = await register()
      const began = performance.now()
      const answer = await poll(runner_id)
      expect(performance.now() - began).toBeGreaterThan(290)
      expect(answer).toMatchObject({ status: 204, text: '' })
      expect(answer.headers.get('content-type')).toBeNull()
    })

    test('of a runner that is not registered', async () => {
      const { poll } = await setup()
      const answer = await poll('lnch_gone')
      expectRefusal(answer, 401, 'runner_not_registered', 'Runner not registered')
    })

    test('a run, as both generations read it, and no other key', async () => {
      const { register, addRun, poll, clock } = await setup()
      const runner_id = await register()
      const parent = await addRun({ priority: 1 })
      const { run_id, session_id } = await addRun({
        ...{ agent_name: 'reviewer', project_dir: '/p', execution_mode: 'async_poll' },
        ...{ parent_session_id: parent.session_id, scope: { tenant: 'a' }, priority: 2 },
        ...{ additional_demands: { hostname: 'alpha' }, max_attempts: 3 },
      })
      const created_at = clock.now()
      const claimed_at = clock.advance(7)
      const answer = await poll<{ run: ClaimedRunView }>(runner_id)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({
        run: {
          ...{ run_id, session_id, type: 'start_session', status: 'claimed', runner_id },
          ...{ prompt: 'hello', parameters: { prompt: 'hello' }, agent_name: 'reviewer' },
          ...{ project_dir: '/p', execution_mode: 'async_poll', priority: 2 },
          ...{ parent_session_id: parent.session_id, scope: { tenant: 'a' } },
          ...{ demands: { hostname: 'alpha', tags: [] }, timeout_at: clock.ahead(293) },
          ...{ retry_delay_seconds: null, on_lost: 'fail', available_at: null },
          ...{ attempt: 1, max_attempts: 3, error: null, result: null },
          ...{ created_at, claimed_at, started_at: null, completed_at: null },
          ...{ resolved_agent_blueprint: null, claim_token: expect.stringMatching(/^.{16,}$/) },
          traceparent: null,
        },
      })
    })

    test('only a claim answer has scope and claim_token', async () => {
      const { hold, get } = await setup()
      const { run } = await hold({ scope: { secret: true } })
      for (const path of [`/runs/${run.run_id}`, '/runs']) {
        const { text } = await get(path)
        expect(text).not.toContain(run.claim_token)
        expect(text).not.toContain('secret')
      }
    })

    test('the order of looks: removal, stops, runs', async () => {
      const service = await setup()
      const held = await service.begin()
      const { runner_id } = held
      await service.addRun({ additional_demands: { hostname: 'alpha' } })
      await service.post(`/runs/${held.run.run_id}/stop`)
      await service.delete(`/runners/${runner_id}`)
      expect((await service.poll(runner_id)).body).toEqual({ deregistered: true })

      const other = await service.begin({}, await service.register({ hostname: 'beta' }))
      const { run_id } = await service.addRun()
      await service.post(`/runs/${other.run.run_id}/stop`)
      expect((await service.poll(other.runner_id)).body).toEqual({
        stop_runs: [other.run.run_id],
        stop_sessions: [other.run.session_id],
      })
      const next = await service.poll<{ run: ClaimedRunView }>(other.runner_id)
      expect(Object.keys(next.body)).toEqual(['run'])
      expect(next.body.run.run_id).toBe(run_id)
    })

    test('stops of several runs come together, each to its own runner', async () => {
      const service = await setup()
      const { begin, post, poll, register } = service
      const first = await begin()
      const second = await begin({}, first.runner_id)
      const other = await begin({}, await register({ hostname: 'beta' }))
      for (const { run } of [first, second, other]) await post(`/runs/${run.run_id}/stop`)
      const told = (await poll<Claimed>(first.runner_id)).body
      expect(told.stop_runs.sort()).toEqual([first.run.run_id, second.run.run_id].sort())
      expect(told.stop_sessions.sort()).toEqual(
        [first.run.session_id, second.run.session_id].sort(),
      )
      expect((await poll(other.runner_id)).body).toEqual({
        stop_runs: [other.run.run_id],
        stop_sessions: [other.run.session_id],
      })
    })

    test('the oldest run within the highest priority', async () => {
      const { register, addRun, poll, clock } = await setup()
      const runner_id = await register()
      const added: string[] = []
      for (const priority of [0, 5, -1, 5, 0]) {
        added.push((await addRun({ priority })).run_id)
        clock.advance(1)
      }
      const taken: string[] = []
      for (const _ of added) {
        taken.push((await poll<{ run: ClaimedRunView }>(runner_id)).body.run.run_id)
      }
      expect(taken).toEqual([1, 3, 0, 4, 2].map((n) => added[n]))
      expect((await poll(runner_id)).status).toBe(204)
    })

    test('a runner that requires matching tags takes only runs that demand one', async () => {
      const { register, addRun, poll } = await setup()
      const runner_id = await register({ tags: ['gpu', 'big'], require_matching_tags: true })
      await addRun()
      await addRun({ additional_demands: { hostname: 'alpha' } })
      expect((await poll(runner_id)).status).toBe(204)
      const { run_id } = await addRun({ additional_demands: { tags: ['big'] } })
      expect((await poll<{ run: ClaimedRunView }>(runner_id)).body.run.run_id).toBe(run_id)
    })

    test('waits for a stop as well', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 30 } })
      const held = await service.begin()
      const { answer: polling } = await service.waiting(() => service.poll(held.runner_id))
      await service.post(`/runs/${held.run.run_id}/stop`)
      expect((await polling).body).toHaveProperty('stop_runs', [held.run.run_id])
    })
  })

  describe('POST /runner/runs/claim', () => {
    test('one run at once, unless asked otherwise', async () => {
      const { register, addRun, post } = await setup()
      const runner_id = await register()
      const { run_id } = await addRun()
      await addRun()
      const answer = await post<Claimed>('/runner/runs/claim', { runner_id })
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({ ...NOTHING, runs: [{ run_id, status: 'claimed' }] })
      expect(Object.keys(answer.body).sort()).toEqual(Object.keys(NOTHING).sort())
    })

    test('of a runner that is not registered', async () => {
      const { post } = await setup()
      const answer = await post('/runner/runs/claim', { runner_id: 'lnch_gone' })
      expectRefusal(answer, 401, 'runner_not_registered', 'Runner not registered')
    })

    test('nothing: at once without wait_seconds, else when they are over', async () => {
      const { register, claim } = await setup({ config: { pollTimeoutSeconds: 30 } })
      const runner_id = await register()
      expect(await claim(runner_id)).toEqual(NOTHING)
      const began = performance.now()
      expect(await claim(runner_id, { wait_seconds: 0.3 })).toEqual(NOTHING)
      expect(performance.now() - began).toBeGreaterThan(290)
    })

    test('up to limit, in order, each with a token of its own', async () => {
      const { register, addRun, claim } = await setup()
      const runner_id = await register()
      const added = [await addRun(), await addRun(), await addRun({ priority: 1 })]
      const { runs } = await claim(runner_id, { limit: 2 })
      expect(runs.map(({ run_id }) => run_id)).toEqual([added[2]?.run_id, added[0]?.run_id])
      expect(new Set(runs.map(({ claim_token }) => claim_token)).size).toBe(2)
      const rest = await claim(runner_id, { limit: 100 })
      expect(rest.runs.map(({ run_id }) => run_id)).toEqual([added[1]?.run_id])
    })

    test('limit 0 takes no run', async () => {
      const { register, addRun, claim, run } = await setup()
      const runner_id = await register()
      const { run_id } = await addRun()
      expect(await claim(runner_id, { limit: 0 })).toEqual(NOTHING)
      expect((await run(run_id)).status).toBe('pending')
    })

    test('stops come before runs', async () => {
      const service = await setup()
      const held = await service.begin()
      await service.addRun()
      await service.post(`/runs/${held.run.run_id}/stop`)
      expect(await service.claim(held.runner_id)).toEqual({
        ...{ ...NOTHING, stop_runs: [held.run.run_id] },
        stop_sessions: [held.run.session_id],
      })
      expect((await service.claim(held.runner_id)).runs).toHaveLength(1)
    })

    test.each([
      ['limit', -1],
      ['limit', 101],
      ['limit', 1.5],
      ['wait_seconds', -1],
      ['wait_seconds', '5'],
      ['wait_seconds', 100_000],
      ['claim_key', ''],
      ['claim_key', 5],
    ])('refused: %s %j', async (field, value) => {
      const { register, post, addRun, run } = await setup()
      const { run_id } = await addRun()
      const body = { runner_id: await register(), [field]: value }
      expectInvalid(await post('/runner/runs/claim', body), ['body', field])
      expect((await run(run_id)).status).toBe('pending')
    })

    test('a repeat with the same claim_key: the same runs with the same tokens', async () => {
      const service = await setup()
      const runner_id = await service.register()
      for (let n = 0; n < 3; n += 1) await service.addRun()
      const first = await service.claim(runner_id, { limit: 2, claim_key: 'c1' })
      expect(first.runs).toHaveLength(2)
      expect(await service.claim(runner_id, { limit: 2, claim_key: 'c1' })).toEqual(first)
      // After a restart, too.
      const next = await service.another()
      await service.close()
      expect(await next.claim(runner_id, { limit: 2, claim_key: 'c1' })).toEqual(first)
      const { runs } = await next.claim(runner_id, { limit: 2, claim_key: 'c2' })
      expect(runs).toHaveLength(1)
    })

    test('a claim_key of another runner is another claim', async () => {
      const { register, addRun, claim } = await setup()
      const facts: Body = { claim_key: 'c1' }
      await addRun()
      const second = await addRun()
      await claim(await register(), facts)
      const { runs } = await claim(await register({ hostname: 'beta' }), facts)
      expect(runs).toMatchObject([{ run_id: second.run_id }])
    })

    test('a claim_key that found nothing is free for the next try', async () => {
      const { register, addRun, claim } = await setup()
      const runner_id = await register()
      expect(await claim(runner_id, { claim_key: 'c1' })).toEqual(NOTHING)
      const { run_id } = await addRun()
      expect((await claim(runner_id, { claim_key: 'c1' })).runs).toMatchObject([{ run_id }])
    })

    test('of what ended since, a repeat tells nothing', async () => {
      const { register, addRun, claim, report } = await setup()
      const runner_id = await register()
      await addRun()
      await addRun()
      const [run] = (await claim(runner_id, { claim_key: 'c1' })).runs
      if (!run) throw new Error('no run')
      await report('completed', { run, runner_id })
      expect(await claim(runner_id, { claim_key: 'c1' })).toEqual(NOTHING)
    })
  })
}
