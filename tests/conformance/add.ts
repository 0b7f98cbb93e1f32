import { describe, expect, it } from 'vitest'
import type { NewRun } from '../../src/queue/run.ts'
import { MATCH_TIMEOUT_SECONDS } from '../../src/queue/run-queue.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeAdd(setup: Setup): void {
  describe('add', () => {
    it('adds a pending run that nobody has taken', async () => {
      const { runs, runNow, clock } = await setup()
      const given = aNewRun()
      const { run, created } = await runs.add(given, clock.now())
      expect(created).toBe(true)
      expect(run).toEqual({
        run_id: given.run_id,
        session_id: given.session_id,
        type: 'start_session',
        agent_name: null,
        prompt: 'hello',
        parameters: { prompt: 'hello' },
        scope: null,
        project_dir: null,
        parent_session_id: null,
        execution_mode: 'sync',
        demands: null,
        priority: 0,
        status: 'pending',
        runner_id: null,
        error: null,
        result: null,
        attempt: 0,
        max_attempts: 1,
        retry_delay_seconds: null,
        on_lost: 'fail',
        created_at: clock.now(),
        claimed_at: null,
        started_at: null,
        completed_at: null,
        available_at: null,
        timeout_at: null,
      })
      expect(await runNow(run)).toEqual(run)
    })

    it('stores what it is given', async () => {
      const { add, runNow } = await setup()
      const facts: Partial<NewRun> = {
        parameters: { prompt: 'say "hé" 𝒳\n', more: { list: [1, null, 'x'], deep: { yes: true } } },
        agent_name: 'writer',
        project_dir: '/a dir/ü',
        execution_mode: 'async_callback',
        scope: { tenant: 'x', nested: { n: 1.5 } },
        priority: -3,
        max_attempts: 4,
      }
      const run = await runNow(await add(facts))
      expect(run).toMatchObject({ ...facts, prompt: facts.parameters?.['prompt'] })
    })

    it('creates the session of a start_session', async () => {
      const { add, sessionNow, clock } = await setup()
      const parent = await add()
      clock.advance(1)
      const parent_session_id = parent.session_id
      const run = await add({ agent_name: 'writer', project_dir: '/dir', parent_session_id })
      expect(await sessionNow(run)).toEqual({
        session_id: run.session_id,
        status: 'pending',
        created_at: clock.now(),
        project_dir: '/dir',
        agent_name: 'writer',
        last_resumed_at: null,
        parent_session_id,
        executor_session_id: null,
        executor_profile: null,
        hostname: null,
      })
    })

    it('lets a run with demands wait only so long for a match', async () => {
      const { add, runNow, clock } = await setup()
      const demands = { hostname: 'alpha', tags: [] }
      const usual = await add({ demands })
      const short = await add({ demands, timeout_seconds: 1.5 })
      const undemanding = await add({ timeout_seconds: 1.5 })
      expect((await runNow(usual)).timeout_at).toBe(clock.ahead(MATCH_TIMEOUT_SECONDS))
      expect((await runNow(short)).timeout_at).toBe(clock.ahead(1.5))
      expect((await runNow(undemanding)).timeout_at).toBeNull()
    })

    it('stores demands canonical: no empty property, tags unique and in order', async () => {
      const { add, runNow } = await setup()
      const run = await add({
        demands: { hostname: '', tags: ['b', 'a', 'b', '\u{1d4b3}', '\uff5e'] },
      })
      expect((await runNow(run)).demands).toEqual({ tags: ['a', 'b', '\uff5e', '\u{1d4b3}'] })
      const empty = await add({ demands: { tags: [] } })
      expect(await runNow(empty)).toMatchObject({ demands: null, timeout_at: null })
    })

    it('refuses to start a session that exists, and stores nothing', async () => {
      const { runs, add, sessionNow, clock } = await setup()
      const { session_id } = await add({ agent_name: 'first' })
      const before = await sessionNow({ session_id })
      const second = aNewRun({ session_id, agent_name: 'second' })
      await refusal(runs.add(second, clock.advance(1)), 'session_exists')
      expect(await runs.get(second.run_id)).toBeNull()
      expect(await sessionNow({ session_id })).toEqual(before)
    })

    it('refuses a child of a session that does not exist, and stores nothing', async () => {
      const { runs, sessions, clock } = await setup()
      const child = aNewRun({ parent_session_id: 'ses_missing' })
      await refusal(runs.add(child, clock.now()), 'parent_not_found')
      expect(await runs.get(child.run_id)).toBeNull()
      expect(await sessions.get(child.session_id)).toBeNull()
    })

    it('refuses a run id that was given before, and keeps the first run', async () => {
      const { runs, sessions, add, runNow, clock } = await setup()
      const first = await add()
      const again = aNewRun({ run_id: first.run_id, parameters: { prompt: 'other' } })
      await refusal(runs.add(again, clock.now()), 'run_exists')
      expect(await runNow(first)).toEqual(first)
      expect(await sessions.get(again.session_id)).toBeNull()
    })
  })

  describe('add: the scope of a child', () => {
    it("is its parent's; its own keys win", async () => {
      const { add, runNow } = await setup()
      const parent = await add({ scope: { tenant: 'x', level: 1, deep: { a: 1 } } })
      const parent_session_id = parent.session_id
      const heir = await add({ parent_session_id })
      expect((await runNow(heir)).scope).toEqual({ tenant: 'x', level: 1, deep: { a: 1 } })
      const own = await add({ parent_session_id, scope: { level: 2, deep: { b: 2 }, mine: true } })
      const scope = { tenant: 'x', level: 2, deep: { b: 2 }, mine: true }
      expect((await runNow(own)).scope).toEqual(scope)
      const grandchild = await add({ parent_session_id: own.session_id })
      expect((await runNow(grandchild)).scope).toEqual(scope)
    })

    it('is its own where the parent has none, and none where neither has', async () => {
      const { add } = await setup()
      const { session_id: parent_session_id } = await add()
      expect((await add({ parent_session_id, scope: { mine: 1 } })).scope).toEqual({ mine: 1 })
      expect((await add({ parent_session_id })).scope).toBeNull()
    })

    it("is that of the parent's latest run, also among runs of the same instant", async () => {
      const { add, bring } = await setup()
      const { run } = await bring('completed', { scope: { turn: 1 } })
      const { session_id } = run
      await add({ type: 'resume_session', session_id, scope: { turn: 2 } })
      await add({ type: 'resume_session', session_id, scope: { turn: 3 } })
      expect((await add({ parent_session_id: session_id })).scope).toEqual({ turn: 3 })
    })
  })
}
