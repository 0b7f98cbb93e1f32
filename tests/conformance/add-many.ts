import { describe, expect, it } from 'vitest'
import type { NewRun, Run } from '../../src/queue/run.ts'
import { ADD_LIMIT } from '../../src/queue/run-queue.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

export function describeAddMany(setup: Setup): void {
  describe('addMany', () => {
    it(`adds up to ${ADD_LIMIT} runs, which are claimed in the order of the list`, async () => {
      const { runs, register, claim, clock } = await setup()
      const batch = Array.from({ length: ADD_LIMIT }, () => aNewRun())
      const added = await runs.addMany(batch, clock.now())
      expect(added.every(({ created }) => created)).toBe(true)
      const ids = batch.map(({ run_id }) => run_id)
      expect(added.map(({ run }) => run.run_id)).toEqual(ids)
      const claimed = await claim(await register(), { limit: 100 })
      expect(claimed.map(({ run_id }) => run_id)).toEqual(ids.slice(0, 100))
    })

    it('adds nothing for an empty list', async () => {
      const { runs, clock } = await setup()
      expect(await runs.addMany([], clock.now())).toEqual([])
    })

    const REFUSED: [string, (existing: Run) => Partial<NewRun>][] = [
      ['run_exists', ({ run_id }) => ({ run_id })],
      ['session_exists', ({ session_id }) => ({ session_id })],
      ['session_not_found', () => ({ type: 'resume_session' })],
      ['parent_not_found', () => ({ parent_session_id: 'ses_missing' })],
      ['idempotency_conflict', () => ({ idempotency: { key: 'k', fingerprint: 'other' } })],
    ]
    it.each(REFUSED)(
      'adds none when one is refused for %s, and says which',
      async (code, facts) => {
        const { runs, sessions, add, clock } = await setup()
        const existing = await add({ idempotency: { key: 'k', fingerprint: 'first' } })
        const good = [aNewRun(), aNewRun(), aNewRun()]
        const batch = [...good.slice(0, 2), aNewRun(facts(existing)), ...good.slice(2)]
        const error = await refusal(
          runs.addMany(batch, clock.now()),
          code as Parameters<typeof refusal>[1],
        )
        expect(error.facts['index']).toBe(2)
        expect((await runs.list({ limit: 10 })).runs).toHaveLength(1)
        for (const run of good) expect(await sessions.get(run.session_id)).toBeNull()
      },
    )

    it('takes the runs one after the other: a later one may build on an earlier one', async () => {
      const { runs, clock } = await setup()
      const first = aNewRun({ scope: { tenant: 'x' }, agent_name: 'writer' })
      const { session_id } = first
      const idempotency = { key: 'k', fingerprint: 'f' }
      const added = await runs.addMany(
        [
          first,
          aNewRun({ parent_session_id: session_id }),
          aNewRun({ type: 'resume_session', session_id }),
          aNewRun({ idempotency }),
          aNewRun({ idempotency }),
        ],
        clock.now(),
      )
      expect(added[1]?.run.scope).toEqual({ tenant: 'x' })
      expect(added[2]?.run.agent_name).toBe('writer')
      expect(added[4]).toEqual({ run: added[3]?.run, created: false, matching_runners: 0 })
    })
  })
}
