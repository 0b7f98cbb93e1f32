/** How far a chain of parents may go. */
import { describe, expect, it } from 'vitest'
import { PARENT_DEPTH_LIMIT } from '../../src/queue/run-queue.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

/** Sessions, each the parent of the next. @returns the last */
async function chain({ add }: World, length: number): Promise<string> {
  let parent_session_id: string | null = null
  for (let i = 0; i < length; i++) {
    const { session_id } = await add({ parent_session_id })
    parent_session_id = session_id
  }
  return parent_session_id ?? ''
}

export function describeParents(setup: Setup): void {
  describe('a chain of parents', () => {
    it(`of ${PARENT_DEPTH_LIMIT} sessions is taken, a longer one refused; nothing is stored`, async () => {
      const world = await setup()
      const { add, runs, sessions, clock } = world
      const last = await chain(world, PARENT_DEPTH_LIMIT)
      const { session_id } = await add({ parent_session_id: last })
      const beyond = aNewRun({ parent_session_id: session_id })
      await refusal(runs.add(beyond, clock.now()), 'parent_too_deep')
      expect(await runs.get(beyond.run_id)).toBeNull()
      expect(await sessions.get(beyond.session_id)).toBeNull()
    })

    it('that runs in a circle ends, and is as long as the circle', async () => {
      const { bring, add, runNow, sessionNow } = await setup()
      const first = await bring('completed')
      const { session_id } = first.run
      const second = await bring('completed', { parent_session_id: session_id })
      const resume = { type: 'resume_session', session_id } as const
      await bring('running', { ...resume, parent_session_id: second.run.session_id })
      expect(await sessionNow(first.run)).toMatchObject({
        parent_session_id: second.run.session_id,
      })
      const child = await add({ parent_session_id: session_id })
      expect(await runNow(child)).toMatchObject({ parent_session_id: session_id })
    })

    it('that is a session and itself is taken', async () => {
      const { bring, add } = await setup()
      const { session_id } = (await bring('completed')).run
      const own = { session_id, parent_session_id: session_id }
      await bring('completed', { type: 'resume_session', ...own })
      expect(await add({ type: 'resume_session', ...own })).toMatchObject(own)
    })
  })
}
