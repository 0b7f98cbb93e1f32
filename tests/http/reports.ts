/** What runners report on runs and sessions. */
import { describe, expect, test } from 'vitest'
import type { SessionEvent } from '../../src/queue/session.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import type { Held, Service, Setup } from './support/service.ts'

const OK = { status: 200, body: { ok: true } }
/** The least that each report needs beside the runner's id. */
const REPORTS = [
  ['started', {}],
  ['completed', {}],
  ['failed', { error: 'broken' }],
  ['stopped', {}],
] as const

async function eventsOf({ get }: Service, { run }: Held): Promise<SessionEvent[]> {
  const answer = await get<{ events: SessionEvent[] }>(`/sessions/${run.session_id}/events`)
  return answer.body.events
}

async function statesOf({ run: runNow, session }: Service, { run }: Held) {
  const { status } = await runNow(run.run_id)
  return { run: status, session: (await session(run.session_id)).status }
}

export function describeReports(setup: Setup): void {
  describe.each(REPORTS)('POST /runner/runs/{id}/%s', (what, facts) => {
    test('401 before 404 before 409', async () => {
      const service = await setup()
      const held = await service.hold()
      const stranger = await service.register({ hostname: 'beta' })
      const unknown = { ...held.run, run_id: 'run_gone' }
      const nobody = { runner_id: 'lnch_gone', run: unknown }
      const before = await service.everything()
      expectRefusal(
        await service.report(what, nobody, facts),
        401,
        'runner_not_registered',
        'Runner not registered',
      )
      expectRefusal(
        await service.report(what, { ...held, runner_id: 'lnch_gone' }, facts),
        401,
        'runner_not_registered',
      )
      expectRefusal(
        await service.report(what, { ...held, run: unknown }, facts),
        404,
        'run_not_found',
        'Run not found',
      )
      expectRefusal(
        await service.report(what, { ...held, runner_id: stranger }, facts),
        409,
        'run_not_held',
      )
      expect(await service.everything()).toEqual(before)
    })

    test('409 with the token of an earlier claim', async () => {
      const service = await setup()
      const held = await service.hold()
      const before = await service.everything()
      const stale = await service.report(what, held, { ...facts, claim_token: 'outdated' })
      expectRefusal(stale, 409, 'claim_token_mismatch')
      expect(await service.everything()).toEqual(before)
      const { claim_token } = held.run
      expect(await service.report(what, held, { ...facts, claim_token })).toMatchObject(OK)
    })

    test('409 on a run that nobody claimed', async () => {
      const service = await setup()
      const runner_id = await service.register()
      const { run_id } = await service.addRun()
      const path = `/runner/runs/${run_id}/${what}`
      expectRefusal(await service.post(path, { runner_id, ...facts }), 409, 'run_not_held')
    })

    test('demands a runner_id', async () => {
      const service = await setup()
      const held = await service.hold()
      const path = `/runner/runs/${held.run.run_id}/${what}`
      expectInvalid(await service.post(path, facts), ['body', 'runner_id'])
    })

    test('repeated by the same runner: 200, and nothing changes', async () => {
      const service = await setup()
      const held = what === 'started' ? await service.hold() : await service.begin()
      await service.report(what, held, facts)
      service.clock.advance(5)
      const before = [await service.everything(), await eventsOf(service, held)]
      expect(await service.report(what, held, facts)).toMatchObject(OK)
      const { claim_token } = held.run
      expect(await service.report(what, held, { ...facts, claim_token })).toMatchObject(OK)
      expect([await service.everything(), await eventsOf(service, held)]).toEqual(before)
    })
  })

  describe('POST /runner/runs/{id}/started', () => {
    test('the run and its session are running, and an event says so', async () => {
      const service = await setup()
      const parent = await service.addRun()
      const { parent_session_id, ...facts } = { parent_session_id: parent.session_id }
      await service.post(`/runs/${parent.run_id}/stop`)
      const held = await service.hold({ parent_session_id, ...facts })
      service.clock.advance(2)
      expect(await service.report('started', held)).toMatchObject(OK)
      expect(await service.run(held.run.run_id)).toMatchObject({
        ...{ status: 'running', started_at: service.clock.now(), runner_id: held.runner_id },
        ...{ claimed_at: service.clock.ago(2), attempt: 1 },
      })
      expect(await service.session(held.run.session_id)).toMatchObject({
        ...{ status: 'running', parent_session_id },
      })
      expect(await eventsOf(service, held)).toEqual([
        expect.objectContaining({ event_type: 'run_start', timestamp: service.clock.now() }),
      ])
    })

    test('a resumed session takes over the parent of its run', async () => {
      const service = await setup()
      const first = await service.begin()
      await service.report('completed', first, { session_status: 'idle' })
      const parent = await service.begin({}, first.runner_id)
      const { session_id } = first.run
      await service.begin(
        {
          ...{ type: 'resume_session', session_id },
          parent_session_id: parent.run.session_id,
        },
        first.runner_id,
      )
      expect(await service.session(session_id)).toMatchObject({
        ...{ status: 'running', parent_session_id: parent.run.session_id },
      })
    })

    test.each(['completed', 'failed', 'stopped'])(
      'merely late, after it has %s: 200, and nothing changes',
      async (how) => {
        const service = await setup()
        const held = await service.hold()
        await service.report(how, held, { error: 'broken' })
        const before = [await service.everything(), await eventsOf(service, held)]
        expect(await service.report('started', held)).toMatchObject(OK)
        expect([await service.everything(), await eventsOf(service, held)]).toEqual(before)
      },
    )
  })

  describe('terminal reports', () => {
    test.each([
      ['completed', {}, { run: 'completed', session: 'finished' }],
      ['completed', { session_status: null }, { run: 'completed', session: 'finished' }],
      [
        'completed',
        { status: 'success', session_status: 'idle' },
        { run: 'completed', session: 'idle' },
      ],
      ['completed', { session_status: 'finished' }, { run: 'completed', session: 'finished' }],
      ['failed', { error: 'exit code 3' }, { run: 'failed', session: 'failed' }],
      ['stopped', { signal: 'SIGTERM' }, { run: 'stopped', session: 'stopped' }],
      ['stopped', {}, { run: 'stopped', session: 'stopped' }],
    ])('%s %j', async (what, facts, states) => {
      const service = await setup()
      for (const held of [
        await service.hold(),
        await service.begin({}, await service.register({ hostname: 'beta' })),
      ]) {
        service.clock.advance(3)
        expect(await service.report(what, held, facts)).toMatchObject(OK)
        expect(await statesOf(service, held)).toEqual(states)
        const run = await service.run(held.run.run_id)
        expect(run).toMatchObject({
          completed_at: service.clock.now(),
          error: what === 'failed' ? 'exit code 3' : null,
        })
      }
    })

    test('completed: an event says so', async () => {
      const service = await setup()
      const held = await service.begin()
      service.clock.advance(3)
      await service.report('completed', held)
      const [, event] = await eventsOf(service, held)
      expect(event).toMatchObject({
        ...{ event_type: 'run_completed', exit_code: 0, reason: 'completed' },
        timestamp: service.clock.now(),
      })
    })

    test.each([
      [
        { text: 'done', data: { files: [1, null] } },
        { text: 'done', data: { files: [1, null] } },
      ],
      [{ text: 'done' }, { text: 'done', data: null }],
      [{ data: false }, { text: null, data: false }],
      [{}, { text: null, data: null }],
      [null, null],
    ])('completed: the result %j', async (result, kept) => {
      const service = await setup()
      const held = await service.begin()
      await service.report('completed', held, { result })
      expect((await service.run(held.run.run_id)).result).toEqual(kept)
    })

    test('completed: a session_status that is neither', async () => {
      const service = await setup()
      const held = await service.begin()
      const answer = await service.report('completed', held, { session_status: 'running' })
      expectInvalid(answer, ['body', 'session_status'])
      expect((await service.run(held.run.run_id)).status).toBe('running')
    })

    test('failed: demands an error', async () => {
      const service = await setup()
      const held = await service.begin()
      expectInvalid(await service.report('failed', held), ['body', 'error'])
    })

    test('failed: of an error without end the end is kept, in whole characters', async () => {
      const service = await setup()
      const held = await service.begin()
      const error = `${'😀'.repeat(500_000)}!`
      expect(await service.report('failed', held, { error })).toMatchObject(OK)
      const kept = (await service.run(held.run.run_id)).error ?? ''
      expect(kept.length).toBeLessThanOrEqual(64 * 1024)
      expect(kept.length).toBeGreaterThan(64 * 1024 - 10)
      expect(kept).toMatch(/^(😀)+!$/u)
    })

    test('failed: pending again while attempts are left', async () => {
      const service = await setup()
      const runner_id = await service.register()
      const first = await service.begin({ max_attempts: 2 }, runner_id)
      const { run_id } = first.run
      expect(await service.report('failed', first, { error: 'first' })).toMatchObject(OK)
      expect(await statesOf(service, first)).toEqual({ run: 'pending', session: 'pending' })
      expect(await service.run(run_id)).toMatchObject({
        ...{ runner_id: null, started_at: null, completed_at: null, error: 'first' },
      })
      const [again] = (await service.claim(runner_id)).runs
      if (!again) throw new Error('the run is not pending again')
      expect(again).toMatchObject({ run_id, attempt: 2, max_attempts: 2 })
      expect(again.claim_token).not.toBe(first.run.claim_token)
      const late = { claim_token: first.run.claim_token, error: 'late' }
      expectRefusal(await service.report('failed', first, late), 409, 'claim_token_mismatch')
      await service.report('failed', { runner_id, run: again }, { error: 'second' })
      expect(await service.run(run_id)).toMatchObject({ status: 'failed', error: 'second' })
    })

    test.each([
      ['completed', ['failed', 'stopped']],
      ['failed', ['completed', 'stopped']],
      ['stopped', ['completed', 'failed']],
    ])('what has %s stays so', async (first, others) => {
      const service = await setup()
      const held = await service.begin()
      await service.report(first, held, { error: 'broken' })
      const before = await service.everything()
      for (const other of others) {
        const answer = await service.report(other, held, { error: 'other' })
        expectRefusal(answer, 409, 'run_wrong_status')
      }
      expect(await service.everything()).toEqual(before)
    })

    test('a run that went back to the queue is no longer its runner’s', async () => {
      const service = await setup()
      const held = await service.hold()
      await service.engine.runs.releaseUnstarted(service.clock.now(), service.clock.now(), 10)
      expectRefusal(await service.report('started', held), 409, 'run_not_held')
      const other = await service.register({ hostname: 'beta' })
      const [again] = (await service.claim(other)).runs
      expect(again).toMatchObject({ run_id: held.run.run_id, attempt: 1 })
      expectRefusal(await service.report('completed', held), 409, 'run_not_held')
    })
  })

  describe('POST /runner/sessions/{id}/status', () => {
    async function withIdleSession(service: Service): Promise<Held> {
      const held = await service.begin()
      await service.report('completed', held, { session_status: 'idle' })
      return held
    }

    test.each(['finished', 'failed', 'stopped'])('%s', async (status) => {
      const service = await setup()
      const { run, runner_id } = await withIdleSession(service)
      const path = `/runner/sessions/${run.session_id}/status`
      expect(await service.post(path, { runner_id, status })).toMatchObject(OK)
      expect((await service.session(run.session_id)).status).toBe(status)
      expect(await service.post(path, { runner_id, status })).toMatchObject(OK)
    })

    test('refusals', async () => {
      const service = await setup()
      const { run, runner_id } = await withIdleSession(service)
      const path = `/runner/sessions/${run.session_id}/status`
      const before = await service.everything()
      for (const status of ['idle', 'running', 'done', '']) {
        const answer = await service.post(path, { runner_id, status })
        const detail = "Status must be 'finished', 'failed', or 'stopped'"
        expectRefusal(answer, 400, 'invalid_session_status', detail)
      }
      const nobody = { runner_id: 'lnch_gone', status: 'finished' }
      for (const each of [path, '/runner/sessions/ses_gone/status']) {
        expectRefusal(await service.post(each, nobody), 401, 'runner_not_registered')
      }
      const gone = await service.post('/runner/sessions/ses_gone/status', {
        ...{ runner_id, status: 'finished' },
      })
      expectRefusal(gone, 404, 'session_not_found', 'Session not found')
      expectInvalid(await service.post(path, { runner_id }), ['body', 'status'])
      expect(await service.everything()).toEqual(before)
    })
  })
}
