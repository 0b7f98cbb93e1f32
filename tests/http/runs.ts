/** Runs as clients look at them: GET /runs, GET /runs/{id}; and POST …/retry. */
import { describe, expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import type { Held, Setup } from './support/service.ts'

const idsOf = (runs: { run_id: string }[]) => runs.map(({ run_id }) => run_id)

export function describeRuns(setup: Setup): void {
  describe('GET /runs', () => {
    test('newest first, each with every key', async () => {
      const { addRun, get, run, clock } = await setup()
      const first = await addRun()
      const second = await addRun()
      clock.advance(1)
      const third = await addRun()
      const answer = await get<{ runs: RunView[]; next_cursor: string | null }>('/runs')
      expect(Object.keys(answer.body).sort()).toEqual(['next_cursor', 'runs'])
      expect(answer.body.next_cursor).toBeNull()
      expect(idsOf(answer.body.runs)).toEqual(idsOf([third, second, first]))
      expect(answer.body.runs[0]).toEqual(await run(third.run_id))
    })

    test('by status, session and runner', async () => {
      const { addRun, begin, hold, runs, report } = await setup()
      const ended = await begin()
      await report('completed', ended)
      const claimed = await hold({}, ended.runner_id)
      const pending = await addRun()
      const again = await addRun({ type: 'resume_session', session_id: ended.run.session_id })
      expect(idsOf(await runs('status=pending'))).toEqual(idsOf([again, pending]))
      expect(idsOf(await runs('status=claimed,completed'))).toEqual(idsOf([claimed.run, ended.run]))
      expect(idsOf(await runs('status=claimed,%20completed,claimed'))).toHaveLength(2)
      const ofSession = `session_id=${ended.run.session_id}`
      expect(idsOf(await runs(ofSession))).toEqual(idsOf([again, ended.run]))
      expect(idsOf(await runs(`${ofSession}&status=completed`))).toEqual([ended.run.run_id])
      const ofRunner = `runner_id=${ended.runner_id}`
      expect(idsOf(await runs(ofRunner))).toEqual(idsOf([claimed.run, ended.run]))
      expect(idsOf(await runs(`${ofRunner}&${ofSession}`))).toEqual([ended.run.run_id])
      expect(await runs('session_id=nobody')).toEqual([])
    })

    test('an unknown status word: an empty list', async () => {
      const { addRun, get, runs } = await setup()
      await addRun()
      expect((await get('/runs?status=sleeping')).body).toEqual({ runs: [], next_cursor: null })
      expect(await runs('status=sleeping,pending')).toHaveLength(1)
    })

    test('100 unless asked otherwise, at most 1000', async () => {
      const { post, get, runs } = await setup()
      const many = Array.from({ length: 1000 }, () => ({ type: 'start_session', prompt: 'x' }))
      await post('/runs/batch', { runs: many })
      await post('/runs/batch', { runs: many.slice(0, 5) })
      expect(await runs('')).toHaveLength(100)
      expect(await runs('limit=7')).toHaveLength(7)
      expect(await runs('limit=1000')).toHaveLength(1000)
      for (const limit of ['1001', '0', '-1', '1.5', 'all', '1e999', '']) {
        expectInvalid(await get(`/runs?limit=${limit}`), ['query', 'limit'])
      }
    })

    test('pages by cursor: each run once, whatever comes meanwhile', async () => {
      const { addRun, get, clock } = await setup()
      const added: string[] = []
      for (let n = 0; n < 7; n += 1) {
        added.unshift((await addRun()).run_id)
        if (n % 3 === 0) clock.advance(1)
      }
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const query: string = cursor === '' ? '' : `&cursor=${cursor}`
        const page = await get<{ runs: RunView[]; next_cursor: string | null }>(
          `/runs?limit=3&status=pending${query}`,
        )
        seen.push(...idsOf(page.body.runs))
        cursor = page.body.next_cursor
        await addRun()
      }
      expect(seen).toEqual(added)
    })

    test('a cursor that no page gave', async () => {
      const { get } = await setup()
      for (const cursor of ['x', '%00', 'bnVsbA', '~~~~', 'x'.repeat(201)]) {
        const answer = await get(`/runs?cursor=${cursor}`)
        expect(answer.status).toBe(422)
        expectRefusal(answer, 422, answer.body['code'] as string)
      }
    })
  })

  describe('GET /runs/{id}', () => {
    test('of no run', async () => {
      const { get } = await setup()
      expectRefusal(await get('/runs/run_gone'), 404, 'run_not_found', 'Run not found')
      expectRefusal(await get('/runs/run_gone?wait=5'), 404, 'run_not_found', 'Run not found')
    })

    test('wait: answers when the run ends', async () => {
      const { begin, get, report } = await setup()
      const held = await begin()
      const answering = get<RunView>(`/runs/${held.run.run_id}?wait=20`)
      await report('completed', held, { result: { text: 'done', data: null } })
      expect(await answering).toMatchObject({
        status: 200,
        body: { status: 'completed', result: { text: 'done', data: null } },
      })
    })

    test('wait: also when another server ends it', async () => {
      const service = await setup()
      const other = await service.another()
      const { run_id } = await service.addRun()
      const answering = service.get<RunView>(`/runs/${run_id}?wait=20`)
      await other.post(`/runs/${run_id}/stop`)
      expect((await answering).body.status).toBe('stopped')
    })

    test('wait: answers as it is when the time is up, or the server leaves', async () => {
      const { addRun, get, leave } = await setup()
      const { run_id } = await addRun()
      expect((await get(`/runs/${run_id}?wait=0.02`)).body['status']).toBe('pending')
      const answering = get(`/runs/${run_id}?wait=20`)
      leave()
      expect((await answering).body['status']).toBe('pending')
    })

    test('wait: at once of a run that has ended', async () => {
      const { begin, get, report } = await setup()
      const held = await begin()
      await report('failed', held, { error: 'broken' })
      expect((await get(`/runs/${held.run.run_id}?wait=20`)).body).toMatchObject({
        status: 'failed',
        error: 'broken',
      })
    })

    test('wait: what makes no sense is refused', async () => {
      const { addRun, get } = await setup()
      const { run_id } = await addRun()
      for (const wait of ['-1', 'long', '1e999', '100000']) {
        expectInvalid(await get(`/runs/${run_id}?wait=${wait}`), ['query', 'wait'])
      }
    })
  })

  describe('POST /runs/{id}/retry', () => {
    const content = {
      ...{ agent_name: 'reviewer', project_dir: '/project', execution_mode: 'async_poll' },
      ...{ priority: 3, max_attempts: 1, parameters: { prompt: 'hello', more: [1] } },
      additional_demands: { tags: ['gpu'] },
      timeout_seconds: 60,
      scope: { tenant: 'a' },
    }

    const kept = ({ run }: Held) => {
      const { session_id, agent_name, project_dir, execution_mode, priority } = run
      const { parameters, prompt, demands, scope, max_attempts } = run
      const names = { session_id, agent_name, project_dir, execution_mode, priority }
      return { ...names, parameters, prompt, demands, scope, max_attempts }
    }

    test.each(['failed', 'stopped'])('a %s run becomes a new pending one', async (how) => {
      const { begin, report, post, run, claim, register, session, clock } = await setup()
      const held = await begin(content, await register({ tags: ['gpu'] }))
      await report(how, held, { error: 'broken' })
      clock.advance(10)
      const answer = await post<RunView>(`/runs/${held.run.run_id}/retry`)
      const { run_id } = answer.body
      expect(answer).toMatchObject({
        status: 201,
        body: { run_id, session_id: held.run.session_id, status: 'pending' },
      })
      expect(run_id).not.toBe(held.run.run_id)
      expect(await run(held.run.run_id)).toMatchObject({ status: how })
      expect((await session(held.run.session_id)).status).toBe('pending')
      expect(await run(run_id)).toMatchObject({
        ...{ status: 'pending', attempt: 0, runner_id: null, error: null, started_at: null },
        ...{ created_at: clock.now(), timeout_at: clock.ahead(60) },
      })
      const { runs } = await claim(held.runner_id)
      expect(runs).toMatchObject([{ run_id, ...kept(held) }])
    })

    test('other runs cannot be retried', async () => {
      const { addRun, begin, report, post, runs } = await setup()
      expectRefusal(await post('/runs/run_gone/retry'), 404, 'run_not_found', 'Run not found')
      const completed = await begin()
      await report('completed', completed)
      const running = await begin({}, completed.runner_id)
      const pending = await addRun()
      for (const { run_id } of [completed.run, running.run, pending]) {
        expectRefusal(await post(`/runs/${run_id}/retry`), 409, 'run_wrong_status')
      }
      expect(await runs()).toHaveLength(3)
    })
  })
}
