/** Children that call their parent back, from one end of the API to the other. */
import { describe, expect, test } from 'vitest'
import type { Setup } from './support/service.ts'

export function describeCallbacks(setup: Setup): void {
  describe('a child with execution_mode async_callback', () => {
    test('ends: its parent, which is idle, is handed a run that says so', async () => {
      const { begin, report, claim, run } = await setup()
      const parent = await begin()
      const { session_id } = parent.run
      await report('completed', parent, { session_status: 'idle' })
      const mode = { parent_session_id: session_id, execution_mode: 'async_callback' }
      const child = await begin(mode, parent.runner_id)
      await report('completed', child, { result: { text: 'four', data: null } })
      const [told, ...more] = (await claim(parent.runner_id, { limit: 5 })).runs
      expect(more).toEqual([])
      expect(told).toMatchObject({ type: 'resume_session', session_id, execution_mode: 'sync' })
      expect(told?.prompt).toBe(
        `<agent-callback session="${child.run.session_id}" status="completed">\nfour\n</agent-callback>\n\nPlease go on with your task, with this result in hand.`,
      )
      expect(await run(child.run.run_id)).toMatchObject({ status: 'completed' })
    })

    test('and others end while their parent is at work: they go together, before it is told anew', async () => {
      const { begin, addRun, report, post, runs, another } = await setup()
      const parent = await begin()
      const { session_id } = parent.run
      const mode = { parent_session_id: session_id, execution_mode: 'async_callback' }
      const children = [await addRun(mode), await addRun(mode)]
      for (const { run_id } of children) await post(`/runs/${run_id}/stop`)
      expect(await runs(`session_id=${session_id}`)).toHaveLength(1)
      const restarted = await another()
      await restarted.report('failed', parent, { error: 'broken' })
      const [told] = await runs(`session_id=${session_id}&status=pending`)
      expect(told?.prompt).toMatch(/^<agent-callback type="aggregated" count="2">\n/)
      for (const child of children) {
        const said = `<child session="${child.session_id}" status="failed">\nError: The run was stopped\n</child>`
        expect(told?.prompt).toContain(said)
      }
      await report('failed', parent, { error: 'broken' })
      expect(await runs(`session_id=${session_id}`)).toHaveLength(2)
    })

    test('is told of though the queue is full', async () => {
      const { addRun, post, runs } = await setup({ config: { maxPending: 1 } })
      const parent = await addRun()
      await post(`/runs/${parent.run_id}/stop`)
      const mode = { parent_session_id: parent.session_id, execution_mode: 'async_callback' }
      const child = await addRun(mode)
      await post(`/runs/${child.run_id}/stop`)
      expect(await runs('status=pending')).toMatchObject([{ session_id: parent.session_id }])
      expect((await post('/runs', { type: 'start_session', prompt: 'x' })).status).toBe(503)
    })
  })
}
