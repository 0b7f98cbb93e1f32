import { describe, expect, it } from 'vitest'
import { refusal } from '../support/errors.ts'
import { aNewRunner } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeRunners(setup: Setup): void {
  describe('register', () => {
    it('stores what the runner offers', async () => {
      const { runners, clock } = await setup()
      const given = aNewRunner({
        executor_type: 'cli',
        executor: { type: 'cli', command: 'run "it"', nested: { deep: [1] } },
        agents: [{ name: 'writer' }],
        tags: ['b', 'a', '𝒳 "x"'],
        require_matching_tags: true,
      })
      const runner = await runners.register(given, clock.now(), clock.ago(120))
      const { agents: _, ...offered } = given
      expect(runner).toEqual({
        ...offered,
        registered_at: clock.now(),
        last_heartbeat: clock.now(),
        deregistered_at: null,
      })
      expect(await runners.get(given.runner_id)).toEqual(runner)
    })

    it('takes no tags for none', async () => {
      const { register } = await setup()
      expect((await register({ tags: null })).tags).toEqual([])
    })

    it('is refused while that runner is online, and changes nothing', async () => {
      const { register, runners, clock } = await setup()
      const runner = await register({ tags: ['a'] })
      clock.advance(119.999)
      const { runner_id, hostname, project_dir, executor_profile } = runner
      const error = await refusal(register({ runner_id, tags: ['b'] }), 'duplicate_runner')
      expect(error.facts).toMatchObject({ runner_id, hostname, project_dir, executor_profile })
      expect(await runners.get(runner_id)).toEqual(runner)
    })

    it('takes a stale runner back: online again, no mark for removal, what it offers now', async () => {
      const { register, runners, clock } = await setup()
      const first = await register({ tags: ['a'], require_matching_tags: true })
      const { runner_id } = first
      await runners.deregister(runner_id, clock.now())
      clock.advance(120)
      const offered = { tags: ['b'], executor: { command: 'new' }, require_matching_tags: false }
      expect(await register({ runner_id, ...offered })).toMatchObject({
        ...offered,
        runner_id,
        last_heartbeat: clock.now(),
        deregistered_at: null,
      })
    })

    it('leaves tags and executor of a stale runner that does not state them', async () => {
      const { register, clock } = await setup()
      const kept = { tags: ['a'], executor: { command: 'old' } }
      const { runner_id } = await register(kept)
      clock.advance(120)
      const back = await register({ runner_id, tags: null, executor: null })
      expect(back).toMatchObject(kept)
      clock.advance(120)
      expect((await register({ runner_id, tags: [] })).tags).toEqual([])
    })

    it('leaves a stale runner the runs that it holds', async () => {
      const { bring, register, runs, runNow, clock } = await setup()
      const { run, report } = await bring('running')
      clock.advance(120)
      await register({ runner_id: report.runner_id })
      const result = { session_status: 'finished' as const, result: null }
      await runs.complete({ ...report, ...result }, clock.now())
      expect((await runNow(run)).status).toBe('completed')
    })

    it('registers one of two processes that come with the same id at once', async () => {
      const { runners, open, clock } = await setup()
      const other = await open()
      const runner = aNewRunner()
      const settled = await Promise.allSettled(
        [runners, other.runners].map((registry) =>
          registry.register(runner, clock.now(), clock.ago(120)),
        ),
      )
      expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    })
  })

  describe('runners', () => {
    it('are null where unknown', async () => {
      expect(await (await setup()).runners.get('lnch_unknown')).toBeNull()
    })

    it('are listed in order of registration, up to a limit', async () => {
      const { register, runners, clock } = await setup()
      const ids: string[] = []
      for (let i = 0; i < 4; i++) {
        ids.push((await register()).runner_id)
        clock.advance(1)
      }
      const listed = async (limit: number) =>
        (await runners.list(limit)).map(({ runner_id }) => runner_id)
      expect(await listed(10)).toEqual(ids)
      expect(await listed(2)).toEqual(ids.slice(0, 2))
    })

    it('outlive a restart', async () => {
      const { register, close, open, clock } = await setup()
      const runner = await register({ tags: ['a'] })
      await close()
      const { runners } = await open()
      expect(await runners.get(runner.runner_id)).toEqual(runner)
      await runners.heartbeat(runner.runner_id, clock.now())
    })

    it('give a sign of life', async () => {
      const { register, runners, clock } = await setup()
      const runner = await register()
      await runners.heartbeat(runner.runner_id, clock.advance(9))
      const alive = { ...runner, last_heartbeat: clock.now() }
      expect(await runners.get(runner.runner_id)).toEqual(alive)
      await refusal(runners.heartbeat('lnch_unknown', clock.now()), 'runner_not_registered')
    })

    it('are marked for removal, and stay until they are told', async () => {
      const { register, runners, clock } = await setup()
      const runner = await register()
      await runners.deregister(runner.runner_id, clock.advance(1))
      const marked = { ...runner, deregistered_at: clock.now() }
      expect(await runners.get(runner.runner_id)).toEqual(marked)
      await refusal(runners.deregister('lnch_unknown', clock.now()), 'runner_not_found')
    })
  })
}
