/** Why a run does not start, why a runner gets nothing, and what an answer to a new run says of it. */
import { describe, expect, test } from 'vitest'
import type { RunExplanation, RunnerExplanation } from '../../src/queue/insight.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import type { Setup } from './support/service.ts'

const RUN = { type: 'start_session', prompt: 'hello' }
const GPU = { additional_demands: { tags: ['gpu'] } }

export function describeExplain(setup: Setup): void {
  describe('GET /runs/:run_id/explain', () => {
    test('says what each runner lacks, every key there', async () => {
      const { register, addRun, get, clock } = await setup()
      const runner_id = await register({ tags: ['eu'] })
      const { run_id } = await addRun(GPU)
      const { status, body } = await get<RunExplanation>(`/runs/${run_id}/explain`)
      expect(status).toBe(200)
      expect(body).toEqual({
        run_id,
        status: 'pending',
        summary: 'Pending: no claimable run comes before it.',
        reasons: [
          'No runner online could take it: no registered runner has tag gpu.',
          `Nearest is runner ${runner_id} on alpha (online): tag gpu is missing.`,
        ],
        outlook: 'It fails at 12:05:00 UTC unless a runner claims it before.',
        demands: { tags: ['gpu'] },
        priority: 0,
        runner_id: null,
        available_at: null,
        timeout_at: clock.ahead(300),
        ahead: { count: 0, at_least: false },
        matching_runners: { count: 0, at_least: false },
        runners: [
          {
            runner_id,
            hostname: 'alpha',
            state: 'online',
            last_heartbeat: clock.now(),
            deregistered_at: null,
            satisfies: false,
            conditions: [{ demand: 'tags', wanted: ['gpu'], offered: ['eu'], met: false }],
            holds: [],
            holds_left_out: 0,
            next_run_id: null,
            summary: 'tag gpu is missing',
          },
        ],
        runners_left_out: { count: 0, at_least: false },
      })
    })

    test('goes by the times that the server has', async () => {
      const config = {
        staleThresholdSeconds: 5,
        removeThresholdSeconds: 50,
        claimTimeoutSeconds: 20,
      }
      const { begin, hold, register, addRun, get, clock } = await setup({ config })
      const explain = async (run_id: string) =>
        (await get<RunExplanation>(`/runs/${run_id}/explain`)).body
      const { run } = await begin()
      clock.advance(5)
      expect((await explain(run.run_id)).outlook).toContain('if that is still so at 12:00:50 UTC')
      const claimed = await hold({}, await register({ hostname: 'b' }))
      expect((await explain(claimed.run.run_id)).outlook).toContain('pending again at 12:00:25 UTC')
      const { run_id } = await addRun()
      expect((await explain(run_id)).runners.map(({ state }) => state)).toEqual(['online', 'stale'])
    })

    test('404 for a run that does not exist', async () => {
      const { get } = await setup()
      expectRefusal(await get('/runs/run_unknown/explain'), 404, 'run_not_found', 'Run not found')
    })
  })

  describe('GET /runners/:runner_id/explain', () => {
    test('says what the runner gets next, or lacks, every key there', async () => {
      const { register, addRun, get, clock } = await setup()
      const runner_id = await register()
      const { run_id } = await addRun({ ...GPU, priority: 3 })
      const { status, body } = await get<RunnerExplanation>(`/runners/${runner_id}/explain`)
      expect(status).toBe(200)
      expect(body).toEqual({
        runner_id,
        hostname: 'alpha',
        state: 'online',
        summary:
          'Online, but it can take nothing of what is claimable: 1 different demand, none of which it meets.',
        reasons: [`Nearest is ${run_id}, which demands tag gpu: tag gpu is missing.`],
        outlook: null,
        tags: [],
        require_matching_tags: false,
        last_heartbeat: clock.now(),
        deregistered_at: null,
        holds: [],
        holds_left_out: 0,
        next_run_id: null,
        next_available_at: null,
        unmet: [
          {
            demands: { tags: ['gpu'] },
            run_id,
            priority: 3,
            conditions: [{ demand: 'tags', wanted: ['gpu'], offered: [], met: false }],
            summary: 'tag gpu is missing',
          },
        ],
        unmet_left_out: { count: 0, at_least: false },
      })
    })

    test('404 for one that is not registered, with why that may be', async () => {
      const { get } = await setup()
      const answer = await get('/runners/lnch_unknown/explain')
      expectRefusal(answer, 404, 'runner_not_found')
      expect(answer.body['message']).toContain('gave no heartbeat for 600 s and was removed')
    })
  })

  describe('what is answered to a new run', () => {
    test('tells how many runners online could take it, up to ten', async () => {
      const { register, addRun, post, clock } = await setup()
      expect((await addRun()).matching_runners).toBe(0)
      await register({ hostname: 'stale' })
      clock.advance(120)
      for (let i = 0; i < 11; i++) await register({ hostname: `h${i}`, tags: i < 2 ? ['gpu'] : [] })
      const added = await addRun()
      expect(added.matching_runners).toBe(10)
      const batch = await post<{ runs: unknown[] }>('/runs/batch', {
        runs: [RUN, { ...RUN, ...GPU }],
      })
      expect(batch.body.runs).toMatchObject([{ matching_runners: 10 }, { matching_runners: 2 }])
      await post(`/runs/${added.run_id}/stop`)
      expect((await post(`/runs/${added.run_id}/retry`)).body).toEqual({
        run_id: expect.any(String),
        session_id: added.session_id,
        status: 'pending',
        matching_runners: 10,
      })
    })

    test('is told again where the request is repeated', async () => {
      const { register, post } = await setup()
      await register()
      const body = { ...RUN, idempotency_key: 'once' }
      const first = await post('/runs', body)
      expect(await post('/runs', body)).toMatchObject({ status: 200, body: first.body })
    })
  })

  describe('reject_if_unmatchable', () => {
    test('refuses what nobody online could take, names the nearest, and stores nothing', async () => {
      const service = await setup()
      const runner_id = await service.register()
      const before = await service.everything()
      const strict = { ...RUN, ...GPU, reject_if_unmatchable: true }
      const answer = await service.post('/runs', strict)
      expectRefusal(answer, 409, 'unmatchable')
      expect(answer.body['message']).toBe(
        `No runner can take it now: no registered runner has tag gpu; nearest is ${runner_id} on alpha: tag gpu is missing`,
      )
      const batch = await service.post('/runs/batch', { runs: [RUN, strict] })
      expectRefusal(batch, 409, 'unmatchable')
      expect(batch.body['message']).toMatch(/^run 1: No runner can take it now/)
      expect(await service.everything()).toEqual(before)
      await service.register({ hostname: 'b', tags: ['gpu'] })
      expect((await service.post('/runs', strict)).status).toBe(201)
    })

    test('is true or false', async () => {
      const { post } = await setup()
      const answer = await post('/runs', { ...RUN, reject_if_unmatchable: 'yes' })
      expectInvalid(answer, ['body', 'reject_if_unmatchable'])
    })
  })
}
