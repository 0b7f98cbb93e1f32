import { describe, expect, it } from 'vitest'
import type { NewRun } from '../../src/queue/run.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

const BINDING = {
  executor_session_id: 'exec-1',
  hostname: 'alpha',
  executor_profile: 'coding',
  executor_type: null,
}

export function describeResume(setup: Setup): void {
  describe('add: resume_session', () => {
    const resume = ({ add }: World, session_id: string, facts: Partial<NewRun> = {}) =>
      add({ type: 'resume_session', session_id, ...facts })

    it('refuses a session that does not exist, and stores nothing', async () => {
      const { runs, sessions, clock } = await setup()
      const run = aNewRun({ type: 'resume_session' })
      await refusal(runs.add(run, clock.now()), 'session_not_found')
      expect(await runs.get(run.run_id)).toBeNull()
      expect(await sessions.get(run.session_id)).toBeNull()
    })

    it('takes agent_name and project_dir from the session where the run leaves them out', async () => {
      const world = await setup()
      const { session_id } = await world.add({ agent_name: 'writer', project_dir: '/dir' })
      const silent = await resume(world, session_id)
      expect(await world.runNow(silent)).toMatchObject({
        agent_name: 'writer',
        project_dir: '/dir',
      })
      const own = { agent_name: 'editor', project_dir: '/other' }
      expect(await world.runNow(await resume(world, session_id, own))).toMatchObject(own)
    })

    it('demands the hostname and profile the session is bound to', async () => {
      const world = await setup()
      const { session_id } = await world.add()
      await world.sessions.bind(session_id, BINDING, world.clock.now())
      const run = await world.runNow(await resume(world, session_id))
      expect(run.demands).toEqual({ hostname: 'alpha', executor_profile: 'coding', tags: [] })
      expect(run.timeout_at).not.toBeNull()
    })

    it('demands the type where executors of the older generation are bound', async () => {
      const world = await setup()
      const { session_id } = await world.add()
      const older = { ...BINDING, executor_profile: null, executor_type: 'cli' }
      await world.sessions.bind(session_id, older, world.clock.now())
      const run = await resume(world, session_id)
      expect(run.demands).toEqual({ hostname: 'alpha', executor_type: 'cli', tags: [] })
    })

    it('lets the binding win over the demands of the run, and unites the tags', async () => {
      const world = await setup()
      const { session_id } = await world.add()
      await world.sessions.bind(session_id, BINDING, world.clock.now())
      const run = await resume(world, session_id, {
        demands: { hostname: 'beta', executor_profile: 'x', project_dir: '/d', tags: ['t'] },
      })
      expect(await world.runNow(run)).toMatchObject({
        demands: { hostname: 'alpha', executor_profile: 'coding', project_dir: '/d', tags: ['t'] },
      })
    })

    it('demands only what it asks for while the session is not bound', async () => {
      const world = await setup()
      const { session_id } = await world.add()
      const demands = { hostname: 'beta', tags: ['t'] }
      expect((await resume(world, session_id)).demands).toBeNull()
      expect((await resume(world, session_id, { demands })).demands).toEqual(demands)
    })

    it.each(['completed', 'failed', 'stopped'] as const)(
      'lets the session of a %s run wait again',
      async (status) => {
        const world = await setup()
        const { run } = await world.bring(status)
        world.clock.advance(5)
        await resume(world, run.session_id)
        expect(await world.sessionNow(run)).toMatchObject({
          status: 'pending',
          last_resumed_at: world.clock.now(),
        })
      },
    )

    it('leaves a session that is at work at work', async () => {
      const world = await setup()
      const { run } = await world.bring('running')
      await resume(world, run.session_id)
      expect((await world.sessionNow(run)).status).toBe('running')
    })
  })
}
