import { describe, expect, it } from 'vitest'
import type { Setup } from './support/service.ts'

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const RUN = { type: 'start_session', prompt: 'hello' }

export function describeTraceContext(setup: Setup): void {
  describe('the trace context that a run is added in', () => {
    it.each([
      ['/runs', RUN],
      ['/runs/batch', { runs: [RUN] }],
    ])('goes to its runner, from POST %s', async (path, body) => {
      const { post, register, claim, engine } = await setup()
      await post(path, body, { headers: { traceparent: TRACEPARENT } })
      const [run] = (await claim(await register(), { claim_key: 'k' })).runs
      expect(run?.traceparent).toBe(TRACEPARENT)
      expect(await engine.runs.traceparent(run?.run_id ?? '')).toBe(TRACEPARENT)
    })

    it.each([
      undefined,
      '',
      'x',
      TRACEPARENT.toUpperCase(),
      `${TRACEPARENT}-x`,
      TRACEPARENT.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    ])('is none where it came with %j', async (traceparent) => {
      const { post, register, claim } = await setup()
      const headers = traceparent === undefined ? {} : { traceparent }
      expect((await post('/runs', RUN, { headers })).status).toBe(201)
      const [run] = (await claim(await register())).runs
      expect(run).toHaveProperty('traceparent', null)
    })
  })
}
