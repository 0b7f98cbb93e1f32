import { describe, expect, it } from 'vitest'
import type { JsonValue, RunResult } from '../../src/queue/run.ts'
import { refusal } from '../support/errors.ts'
import type { Setup, World } from './world.ts'

/** Runs the session once more (or first), and tells what happens meanwhile. */
async function turn(
  { bring, runs, clock }: World,
  facts: { session_id?: string; result?: RunResult; session_status?: 'idle' | 'finished' },
  meanwhile: (session_id: string) => Promise<void> = async () => {},
): Promise<string> {
  const { session_id, result = null, session_status = 'finished' } = facts
  const resume = session_id && ({ type: 'resume_session', session_id } as const)
  const { run, report } = await bring('running', resume || {})
  await meanwhile(run.session_id)
  await runs.complete({ ...report, session_status, result }, clock.advance(1))
  return run.session_id
}

export function describeSessionResult(setup: Setup): void {
  describe('sessions: result', () => {
    const told = (world: World, result_text: string | null, result_data: JsonValue) =>
      async function tell(session_id: string) {
        const timestamp = world.clock.now()
        const event = { session_id, event_type: 'result', timestamp, result_text, result_data }
        await world.sessions.addEvent(event)
      }
    const said = (world: World, role: string, content: JsonValue) =>
      async function say(session_id: string) {
        const timestamp = world.clock.now()
        await world.sessions.addEvent({
          session_id,
          event_type: 'message',
          timestamp,
          role,
          content,
        })
      }

    it.each(['finished', 'idle'] as const)(
      'is what the runner of a %s session reported',
      async (session_status) => {
        const world = await setup()
        const result = { text: 'done', data: { n: 1 } }
        const id = await turn(world, { result, session_status }, told(world, 'other', null))
        const expected = { result_text: 'done', result_data: { n: 1 } }
        expect(await world.sessions.result(id)).toEqual(expected)
      },
    )

    it('is that of the latest completed run', async () => {
      const world = await setup()
      const session_id = await turn(world, { result: { text: 'one', data: null } })
      await turn(world, { session_id, result: { text: 'two', data: null } })
      expect((await world.sessions.result(session_id)).result_text).toBe('two')
      await turn(world, { session_id }, told(world, 'three', [3]))
      const expected = { result_text: 'three', result_data: [3] }
      expect(await world.sessions.result(session_id)).toEqual(expected)
    })

    it('is that of the latest completed run, though a later one failed', async () => {
      const world = await setup()
      const session_id = await turn(world, { result: { text: 'one', data: null } })
      const { report } = await world.bring('failed', { type: 'resume_session', session_id })
      await world.sessions.report(session_id, report.runner_id, 'finished', world.clock.now())
      expect((await world.sessions.result(session_id)).result_text).toBe('one')
    })

    it('is not that of an earlier run where the latest told none', async () => {
      const world = await setup()
      const session_id = await turn(world, {}, told(world, 'one', null))
      await turn(world, { session_id })
      await refusal(world.sessions.result(session_id), 'result_not_found')
    })

    it('is else what the executor told last', async () => {
      const world = await setup()
      const { sessions } = world
      const id = await turn(world, {}, async (session_id) => {
        await told(world, 'first', null)(session_id)
        await told(world, 'last', { ok: true })(session_id)
        await said(world, 'assistant', 'by the way')(session_id)
      })
      expect(await sessions.result(id)).toEqual({ result_text: 'last', result_data: { ok: true } })
    })

    it('is else the last message of the assistant', async () => {
      const world = await setup()
      const { sessions } = world
      const id = await turn(world, {}, async (session_id) => {
        await said(world, 'assistant', [{ type: 'text', text: 'first' }])(session_id)
        await said(world, 'assistant', [{ type: 'text', text: 'last' }])(session_id)
        await said(world, 'user', 'thanks')(session_id)
      })
      expect(await sessions.result(id)).toEqual({ result_text: 'last', result_data: null })
    })

    it('is also what the executor told just after the run ended', async () => {
      const world = await setup()
      const id = await turn(world, {})
      await told(world, 'late', null)(id)
      expect((await world.sessions.result(id)).result_text).toBe('late')
    })

    it('is missing where nobody told one', async () => {
      const world = await setup()
      const id = await turn(world, {}, said(world, 'user', 'hello?'))
      await refusal(world.sessions.result(id), 'result_not_found')
    })

    it.each(['pending', 'claimed', 'running', 'stopping', 'stopped', 'failed'] as const)(
      'is refused while the run is %s',
      async (status) => {
        const { bring, sessions } = await setup()
        const { run } = await bring(status)
        await refusal(sessions.result(run.session_id), 'session_not_finished')
      },
    )
  })
}
