import { describe, expect, it } from 'vitest'
import { SESSION_EVENTS_LIMIT } from '../../src/queue/sessions.ts'
import { refusal } from '../support/errors.ts'
import type { Setup } from './world.ts'

const BINDING = {
  executor_session_id: 'exec-1',
  hostname: 'alpha',
  executor_profile: 'coding',
  executor_type: null,
}

export function describeSessions(setup: Setup): void {
  it('a session that does not exist is null, or an error where it is named', async () => {
    const { register, sessions, clock } = await setup()
    const { runner_id } = await register()
    const id = 'ses_unknown'
    const now = clock.now()
    expect(await sessions.get(id)).toBeNull()
    const operations = [
      () => sessions.bind(id, BINDING, now),
      () => sessions.update(id, { agent_name: 'x' }, now),
      () => sessions.addEvent({ session_id: id, event_type: 'x', timestamp: now }),
      () => sessions.events(id),
      () => sessions.result(id),
      () => sessions.stop(id, now),
      () => sessions.report(id, runner_id, 'finished', now),
      () => sessions.delete(id),
    ]
    for (const operation of operations) await refusal(operation(), 'session_not_found')
  })

  describe('sessions: list', () => {
    it('pages newest first, each session once, also those of the same instant', async () => {
      const { add, sessions, clock } = await setup()
      const ids: string[] = []
      for (let i = 0; i < 25; i++) {
        ids.unshift((await add()).session_id)
        if (i % 9 === 8) clock.advance(1)
      }
      const seen: string[] = []
      let cursor: string | undefined
      for (let pages = 0; pages < 4; pages++) {
        const page = await sessions.list({ limit: 7, cursor })
        seen.push(...page.sessions.map(({ session_id }) => session_id))
        // A session that comes meanwhile does not shift the pages.
        await add()
        cursor = page.next_cursor ?? undefined
        if (cursor === undefined) break
      }
      expect(seen).toEqual(ids)
    })

    it('says when there is no more', async () => {
      const { add, sessions } = await setup()
      expect(await sessions.list({ limit: 2 })).toEqual({ sessions: [], next_cursor: null })
      await add()
      await add()
      expect((await sessions.list({ limit: 2 })).next_cursor).toBeNull()
      expect((await sessions.list({ limit: 1 })).next_cursor).not.toBeNull()
    })

    it('refuses a cursor that is none', async () => {
      const { sessions } = await setup()
      for (const cursor of ['', 'x', '%%%', '12']) {
        await refusal(sessions.list({ limit: 2, cursor }), 'invalid_cursor')
      }
    })
  })

  describe('sessions: bind', () => {
    it('says where its executor runs; the session is running then', async () => {
      const { add, sessions, sessionNow, clock } = await setup()
      const { session_id } = await add({ project_dir: '/dir' })
      const before = await sessionNow({ session_id })
      const bound = await sessions.bind(session_id, BINDING, clock.advance(1))
      const { executor_type: _, ...shown } = BINDING
      expect(bound).toEqual({ ...before, ...shown, status: 'running' })
      expect(await sessionNow({ session_id })).toEqual(bound)
      const moved = { ...BINDING, hostname: 'beta', project_dir: '/other' }
      expect(await sessions.bind(session_id, moved, clock.now())).toMatchObject({
        hostname: 'beta',
        project_dir: '/other',
      })
    })

    it.each([
      ['pending', 'running'],
      ['completed', 'running'],
      ['stopping', 'stopping'],
      ['stopped', 'stopped'],
      ['failed', 'failed'],
    ] as const)('that comes with a %s run leaves the session %s', async (status, expected) => {
      const { bring, sessions, clock } = await setup()
      const { run } = await bring(status)
      const bound = await sessions.bind(run.session_id, BINDING, clock.now())
      expect(bound).toMatchObject({ status: expected, executor_session_id: 'exec-1' })
    })
  })

  describe('sessions: update', () => {
    it('changes the metadata given, and leaves what is absent or null', async () => {
      const { add, sessions, sessionNow, clock } = await setup()
      const { session_id } = await add({ project_dir: '/dir', agent_name: 'writer' })
      const before = await sessionNow({ session_id })
      const last_resumed_at = clock.ahead(5)
      const metadata = { agent_name: 'editor', hostname: 'beta', last_resumed_at }
      const updated = await sessions.update(
        session_id,
        { ...metadata, project_dir: null },
        clock.advance(1),
      )
      expect(updated).toEqual({ ...before, ...metadata })
      expect(await sessionNow({ session_id })).toEqual(updated)
      const rest = { project_dir: '/new', executor_session_id: 'e', executor_profile: 'p' }
      expect(await sessions.update(session_id, rest, clock.now())).toEqual({ ...updated, ...rest })
      expect(await sessions.update(session_id, {}, clock.now())).toEqual({ ...updated, ...rest })
    })
  })

  describe('sessions: events', () => {
    it('are given as they were told, oldest first', async () => {
      const { add, sessions, clock } = await setup()
      const { session_id } = await add()
      const told = {
        session_id,
        event_type: 'post_tool',
        timestamp: clock.now(),
        tool_name: 'shell',
        tool_input: { command: 'ls "x"' },
        tool_output: ['a', null, 1],
        error: 'none',
        exit_code: 2,
        reason: 'because',
        role: 'assistant',
        content: [{ type: 'text', text: '𝒳' }],
        result_text: 'r',
        result_data: { deep: [true] },
      }
      await sessions.addEvent(told)
      // Order is that of arrival: the clocks of executors differ.
      await sessions.addEvent({ session_id, event_type: 'plain', timestamp: clock.ago(9) })
      const [first, second, ...more] = await sessions.events(session_id)
      expect(more).toEqual([])
      expect(first).toEqual({ ...told, id: expect.any(Number) })
      expect(second).toEqual({
        id: expect.any(Number),
        session_id,
        event_type: 'plain',
        timestamp: clock.ago(9),
        ...{ tool_name: null, tool_input: null, tool_output: null, error: null, exit_code: null },
        ...{ reason: null, role: null, content: null, result_text: null, result_data: null },
      })
    })

    it(`are given up to ${SESSION_EVENTS_LIMIT}`, async () => {
      const { add, sessions, clock } = await setup()
      const { session_id } = await add()
      const told = Array.from({ length: SESSION_EVENTS_LIMIT + 5 }, (_, i) => `event-${i}`)
      for (const event_type of told) {
        await sessions.addEvent({ session_id, event_type, timestamp: clock.now() })
      }
      const events = await sessions.events(session_id)
      expect(events.map(({ event_type }) => event_type)).toEqual(
        told.slice(0, SESSION_EVENTS_LIMIT),
      )
    })

    it('are those of the one session', async () => {
      const { add, sessions, clock } = await setup()
      const [one, two] = [await add(), await add()]
      const { session_id } = one
      await sessions.addEvent({ session_id, event_type: 'x', timestamp: clock.now() })
      expect(await sessions.events(two.session_id)).toEqual([])
    })
  })

  describe('sessions: report', () => {
    it.each(['finished', 'failed', 'stopped'] as const)('sets it %s', async (status) => {
      const { bring, sessions, sessionNow, clock } = await setup()
      const { run, report } = await bring('running')
      await sessions.report(run.session_id, report.runner_id, status, clock.now())
      expect((await sessionNow(run)).status).toBe(status)
    })

    it('is refused to a runner that is not registered', async () => {
      const { bring, sessions, sessionNow, clock } = await setup()
      const { run } = await bring('running')
      const report = sessions.report(run.session_id, 'lnch_unknown', 'failed', clock.now())
      await refusal(report, 'runner_not_registered')
      expect((await sessionNow(run)).status).toBe('running')
    })

    it('is refused to a runner that another runner served it', async () => {
      const { bring, register, sessions, sessionNow, clock } = await setup()
      const { run } = await bring('running')
      const { runner_id } = await register()
      const report = sessions.report(run.session_id, runner_id, 'failed', clock.now())
      await refusal(report, 'session_not_held')
      expect((await sessionNow(run)).status).toBe('running')
    })
  })

  describe('sessions: delete', () => {
    it('takes its runs and events along, and nothing else', async () => {
      const { add, bring, sessions, runs, runNow, clock } = await setup()
      const { run } = await bring('completed')
      const { session_id } = run
      const again = await add({ type: 'resume_session', session_id })
      const other = await add()
      const { session_id: bystander } = other
      await sessions.addEvent({ session_id, event_type: 'x', timestamp: clock.now() })
      await sessions.addEvent({ session_id: bystander, event_type: 'x', timestamp: clock.now() })
      expect(await sessions.delete(session_id)).toEqual({ events_count: 3, runs_count: 2 })
      expect(await sessions.get(session_id)).toBeNull()
      expect(await runs.get(run.run_id)).toBeNull()
      expect(await runs.get(again.run_id)).toBeNull()
      expect(await runNow(other)).toEqual(other)
      expect(await sessions.events(bystander)).toHaveLength(1)
    })

    it('is refused while it runs or is idle', async () => {
      const { bring, runs, sessions, sessionNow, clock } = await setup()
      const { run, report } = await bring('running')
      await refusal(sessions.delete(run.session_id), 'session_active')
      const idle = { session_status: 'idle' as const, result: null }
      await runs.complete({ ...report, ...idle }, clock.now())
      await refusal(sessions.delete(run.session_id), 'session_active')
      expect((await sessionNow(run)).status).toBe('idle')
    })

    it('frees its id for another session', async () => {
      const { add, bring, sessions } = await setup()
      const { run } = await bring('completed')
      const { session_id } = run
      await sessions.delete(session_id)
      await add({ session_id })
      expect(await sessions.events(session_id)).toEqual([])
      expect(await sessions.get(session_id)).toMatchObject({ status: 'pending' })
    })
  })
}
