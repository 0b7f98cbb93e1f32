/** /sessions: what clients and executors do with sessions, their stops and deletions. */
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/queue/session.ts'
import { type Body, expectInvalid, expectRefusal } from './support/api.ts'
import { type Held, type Service, type Setup, shared } from './support/service.ts'

const BINDING = { executor_session_id: 'x-1', hostname: 'alpha', executor_profile: 'coding' }

async function withIdleSession(service: Service, by?: string): Promise<Held> {
  const held = await service.begin({}, by)
  await service.report('completed', held, { session_status: 'idle' })
  return held
}

export function describeSessions(setup: Setup): void {
  const given = shared(setup)

  describe('a session that does not exist', () => {
    test.each([
      ['GET', '', undefined],
      ['GET', '/result', undefined],
      ['GET', '/affinity', undefined],
      ['GET', '/events', undefined],
      ['POST', '/bind', BINDING],
      ['POST', '/events', { event_type: 'message', session_id: 'ses_gone', timestamp: 'now' }],
      ['PATCH', '/metadata', { project_dir: '/p' }],
      ['POST', '/stop', undefined],
      ['DELETE', '', undefined],
    ])('%s /sessions/{id}%s: 404', async (method, path, body) => {
      const { send } = await given()
      const headers = { 'content-type': 'application/json' }
      const init = body ? { headers, body: JSON.stringify(body) } : {}
      const answer = await send(method, `/sessions/ses_gone${path}`, init)
      expectRefusal(answer, 404, 'session_not_found', 'Session not found')
    })

    test('GET …/status: 200, not_existent', async () => {
      const { get } = await setup()
      const answer = await get('/sessions/ses_gone/status')
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({ status: 'not_existent' })
    })
  })

  describe('GET /sessions', () => {
    test('newest first; the single one is under its key', async () => {
      const { addRun, get, clock } = await setup()
      const added: string[] = []
      for (let n = 0; n < 3; n += 1) {
        added.unshift((await addRun()).session_id)
        clock.advance(1)
      }
      const { sessions } = (await get<{ sessions: Session[] }>('/sessions')).body
      expect(sessions.map(({ session_id }) => session_id)).toEqual(added)
      const one = await get(`/sessions/${added[0]}`)
      expect(one.status).toBe(200)
      expect(one.body).toEqual({ session: sessions[0] })
    })

    test('all that existing clients expect, which know no cursor', async () => {
      const { post, get } = await setup()
      const runs = Array.from({ length: 500 }, () => ({ type: 'start_session', prompt: 'x' }))
      await post('/runs/batch', { runs })
      expect((await get<{ sessions: Session[] }>('/sessions')).body.sessions).toHaveLength(500)
    })

    test('pages by cursor', async () => {
      const { addRun, get } = await setup()
      const added: string[] = []
      for (let n = 0; n < 5; n += 1) added.unshift((await addRun()).session_id)
      type Page = { sessions: Session[]; next_cursor: string | null }
      const first = (await get<Page>('/sessions?limit=3')).body
      const next = `/sessions?limit=3&cursor=${first.next_cursor}`
      await addRun()
      const second = (await get<Page>(next)).body
      const seen = [...first.sessions, ...second.sessions].map(({ session_id }) => session_id)
      expect(seen).toEqual(added)
      expect(second.next_cursor).toBeNull()
      expect((await get('/sessions?cursor=nonsense')).status).toBe(422)
      expectInvalid(await get('/sessions?limit=0'), ['query', 'limit'])
    })
  })

  describe('GET /sessions/{id}/status', () => {
    test('follows the run', async () => {
      const { addRun, get, register, claim, report } = await setup()
      const runner_id = await register()
      const { session_id } = await addRun()
      const words: unknown[] = []
      const look = async () => words.push((await get(`/sessions/${session_id}/status`)).body)
      await look()
      const [run] = (await claim(runner_id)).runs
      if (!run) throw new Error('no run')
      await look()
      await report('started', { run, runner_id })
      await look()
      await report('completed', { run, runner_id })
      await look()
      expect(words).toEqual(
        ['pending', 'pending', 'running', 'finished'].map((status) => ({ status })),
      )
    })
  })

  describe('POST /sessions/{id}/bind and GET …/affinity', () => {
    test('the newer generation', async () => {
      const { addRun, post, get } = await setup()
      const { session_id } = await addRun({ project_dir: '/started' })
      expect((await get(`/sessions/${session_id}/affinity`)).body).toEqual({
        affinity: { session_id, hostname: null, project_dir: '/started', executor_profile: null },
      })
      const bound = await post(`/sessions/${session_id}/bind`, BINDING)
      expect(bound).toMatchObject({ status: 200, body: { ok: true } })
      expect(Object.keys(bound.body).sort()).toEqual(['ok', 'session'])
      const expected = { ...BINDING, session_id, status: 'running', project_dir: '/started' }
      expect(bound.body['session']).toMatchObject(expected)
      expect((await get(`/sessions/${session_id}`)).body['session']).toEqual(bound.body['session'])
      const elsewhere = await post(`/sessions/${session_id}/bind`, {
        ...{ ...BINDING, project_dir: '/bound' },
      })
      expect(elsewhere.body['session']).toMatchObject({ project_dir: '/bound' })
      const answer = await get(`/sessions/${session_id}/affinity`)
      expect(answer.body).toEqual({
        affinity: {
          ...{ session_id, hostname: 'alpha', project_dir: '/bound', executor_profile: 'coding' },
        },
      })
    })

    test('the older generation states a type instead of a profile', async () => {
      const { addRun, post } = await setup()
      const { session_id } = await addRun()
      const body = { ...BINDING, executor_profile: undefined, executor_type: 'claude-code' }
      expect(await post(`/sessions/${session_id}/bind`, body)).toMatchObject({
        status: 200,
        body: { session: { executor_session_id: 'x-1', hostname: 'alpha' } },
      })
    })

    test.each([
      ['executor_session_id', { ...BINDING, executor_session_id: undefined }],
      ['hostname', { ...BINDING, hostname: null }],
      ['executor_profile', { ...BINDING, executor_profile: undefined }],
      ['project_dir', { ...BINDING, project_dir: 5 }],
    ])('refused: %s', async (field, body) => {
      const service = await given()
      const { session_id } = await service.addRun()
      const before = await service.everything()
      expectInvalid(await service.post(`/sessions/${session_id}/bind`, body), ['body', field])
      expect(await service.everything()).toEqual(before)
    })

    test('before the start is reported, as existing executors do', async () => {
      const service = await setup()
      const held = await service.hold()
      const { session_id } = held.run
      expect((await service.post(`/sessions/${session_id}/bind`, BINDING)).status).toBe(200)
      expect((await service.session(session_id)).status).toBe('running')
      expect((await service.report('started', held)).status).toBe(200)
    })

    test.each(['stopped', 'failed'])('too late: a session that has %s stays so', async (how) => {
      const service = await setup()
      const held = await service.hold()
      await service.report(how, held, { error: 'broken' })
      const answer = await service.post(`/sessions/${held.run.session_id}/bind`, BINDING)
      expect(answer).toMatchObject({ status: 200, body: { session: { status: how } } })
    })
  })

  describe('PATCH /sessions/{id}/metadata', () => {
    test('changes what is stated, and nothing else', async () => {
      const { addRun, patch, session } = await setup()
      const { session_id } = await addRun({ agent_name: 'reviewer' })
      const path = `/sessions/${session_id}/metadata`
      const before = await session(session_id)
      const change = { last_resumed_at: '2026-01-31T13:00:00.123456+00:00', project_dir: null }
      const answer = await patch(path, { ...change, status: 'failed', session_id: 'other' })
      expect(answer.status).toBe(200)
      const { last_resumed_at } = change
      expect(answer.body).toEqual({ ok: true, session: { ...before, last_resumed_at } })
      const all = {
        ...{ project_dir: '/p', agent_name: 'writer', last_resumed_at: 'today' },
        ...{ executor_session_id: 'x-2', executor_profile: 'research', hostname: 'beta' },
      }
      await patch(path, { ...all, executor_type: 'claude-code' })
      expect(await session(session_id)).toEqual({ ...before, ...all })
      expect((await patch(path, {})).body).toEqual({ ok: true, session: { ...before, ...all } })
    })

    test('refused: what is ill-typed', async () => {
      const { addRun, patch } = await setup()
      const { session_id } = await addRun()
      const body = { project_dir: 5, hostname: ['alpha'] }
      expectInvalid(
        await patch(`/sessions/${session_id}/metadata`, body),
        ['body', 'project_dir'],
        ['body', 'hostname'],
      )
    })
  })

  describe('POST /sessions/{id}/stop', () => {
    test('pending: its run is cancelled', async () => {
      const service = await setup()
      const { run_id, session_id } = await service.addRun()
      const answer = await service.post(`/sessions/${session_id}/stop`)
      expect(answer.status).toBe(200)
      expect(answer.body).toMatchObject({ ok: true, session_id, run_id, status: 'stopped' })
      expect((await service.run(run_id)).status).toBe('stopped')
      expect((await service.session(session_id)).status).toBe('stopped')
    })

    test('running: its run is stopped through the runner; a second call changes nothing', async () => {
      const service = await setup()
      const { run, runner_id } = await service.begin()
      const { run_id, session_id } = run
      const expected = { status: 200, body: { ok: true, session_id, run_id, status: 'stopping' } }
      expect(await service.post(`/sessions/${session_id}/stop`)).toMatchObject(expected)
      expect((await service.poll(runner_id)).body).toEqual({
        ...{ stop_runs: [run_id], stop_sessions: [session_id] },
      })
      const before = await service.everything()
      expect(await service.post(`/sessions/${session_id}/stop`)).toMatchObject(expected)
      expect(await service.everything()).toEqual(before)
      expect((await service.poll(runner_id)).status).toBe(204)
    })

    test('idle: stopping, and its last runner is told though no run is active', async () => {
      const service = await setup()
      const { run, runner_id } = await withIdleSession(service)
      const other = await service.register({ hostname: 'beta' })
      const { session_id } = run
      const answer = await service.post(`/sessions/${session_id}/stop`)
      expect(answer).toMatchObject({
        status: 200,
        body: { ok: true, session_id, status: 'stopping' },
      })
      expect((await service.session(session_id)).status).toBe('stopping')
      expect((await service.poll(other)).status).toBe(204)
      const told = { stop_runs: [], stop_sessions: [session_id] }
      expect((await service.poll(runner_id)).body).toEqual(told)
      expect((await service.poll(runner_id)).status).toBe(204)
      service.clock.advance(30)
      expect((await service.poll(runner_id)).body).toEqual(told)
      const path = `/runner/sessions/${session_id}/status`
      await service.post(path, { runner_id, status: 'stopped' })
      expect((await service.session(session_id)).status).toBe('stopped')
      service.clock.advance(30)
      expect((await service.poll(runner_id)).status).toBe(204)
    })

    test('idle: told to a poll that waits, also at another server', async () => {
      const service = await setup()
      const other = await service.another({ config: { pollTimeoutSeconds: 30 } })
      const { run, runner_id } = await withIdleSession(service)
      const { answer: polling } = await other.waiting(() => other.poll(runner_id))
      await service.post(`/sessions/${run.session_id}/stop`)
      expect((await polling).body).toEqual({ stop_runs: [], stop_sessions: [run.session_id] })
    })

    test.each([
      ['completed', 'finished'],
      ['failed', 'failed'],
      ['stopped', 'stopped'],
    ])('ended (%s): 200, and nothing changes', async (how, status) => {
      const service = await setup()
      const held = await service.begin()
      const { session_id } = held.run
      await service.report(how, held, { error: 'broken' })
      const before = await service.everything()
      const answer = await service.post(`/sessions/${session_id}/stop`)
      expect(answer).toMatchObject({
        status: 200,
        body: { ok: true, session_id, status, message: `Session already ${status}` },
      })
      expect(await service.everything()).toEqual(before)
    })

    test('a session without a run', async () => {
      const { addRun, post, session } = await setup()
      const { session_id } = await addRun()
      await post(`/sessions/${session_id}/bind`, BINDING)
      expect((await post(`/sessions/${session_id}/stop`)).status).toBe(200)
      expect((await session(session_id)).status).toBe('stopped')
    })
  })

  describe('DELETE /sessions/{id}', () => {
    const anEvent = (session_id: string): Body => ({
      ...{ event_type: 'message', session_id, timestamp: '2026-01-31T12:00:00Z' },
    })

    test('with its runs and events', async () => {
      const service = await setup()
      const held = await service.begin()
      const { run_id, session_id } = held.run
      await service.report('completed', held)
      const again = await service.addRun({ type: 'resume_session', session_id })
      await service.post(`/sessions/${session_id}/events`, anEvent(session_id))
      const other = await service.addRun()
      const answer = await service.delete(`/sessions/${session_id}`)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({
        ...{ ok: true, session_id },
        deleted: { session: true, events_count: 3, runs_count: 2 },
      })
      for (const path of [`/sessions/${session_id}`, `/runs/${run_id}`, `/runs/${again.run_id}`]) {
        expect((await service.get(path)).status).toBe(404)
      }
      expect(await service.runs()).toMatchObject([{ run_id: other.run_id }])
      expectRefusal(await service.delete(`/sessions/${session_id}`), 404, 'session_not_found')
      expect((await service.poll(held.runner_id)).body).toMatchObject({
        run: { run_id: other.run_id },
      })
    })

    test.each(['running', 'idle'])('409 while %s', async (status) => {
      const service = await setup()
      const held = status === 'idle' ? await withIdleSession(service) : await service.begin()
      const before = await service.everything()
      const answer = await service.delete(`/sessions/${held.run.session_id}`)
      expectRefusal(answer, 409, 'session_active', 'Stop session first')
      expect(await service.everything()).toEqual(before)
    })

    test.each(['pending', 'stopping', 'finished', 'failed', 'stopped'])(
      'while %s',
      async (word) => {
        const service = await setup()
        const held = await service.hold()
        const { session_id } = held.run
        if (word === 'stopping') await service.post(`/sessions/${session_id}/stop`)
        if (word === 'finished') await service.report('completed', held)
        if (word === 'failed' || word === 'stopped') {
          await service.report(word, held, { error: 'broken' })
        }
        expect((await service.session(session_id)).status).toBe(word)
        expect((await service.delete(`/sessions/${session_id}`)).status).toBe(200)
        // What its runner reports of it afterwards meets nothing, and harms nothing.
        expectRefusal(await service.report('completed', held), 404, 'run_not_found')
        expect((await service.poll(held.runner_id)).status).toBe(204)
      },
    )

    test('its id is free again', async () => {
      const { addRun, post, delete: remove } = await setup()
      const { run_id } = await addRun({ session_id: 'mine' })
      await post(`/runs/${run_id}/stop`)
      await remove('/sessions/mine')
      await addRun({ session_id: 'mine' })
    })
  })
}
