/** The typed client has a method for every route, and says what the server says. */
import { describe, expect, test } from 'vitest'
import { RunqueueClient } from '../../src/client/index.ts'
import { ROUTES } from '../../src/http/api/routes.ts'
import { type Service, type Setup, shared } from './support/service.ts'

/** For people and for tools, or for runners of older generations. */
const NO_METHOD = [
  ...[
    'GET /openapi.json',
    'GET /docs',
    'GET /metrics',
    'GET /agents',
    'GET /agents/:name',
    'GET /sse/sessions',
  ],
]

const RUN = { type: 'start_session', prompt: 'hello' } as const
const RUNNER = { hostname: 'client', project_dir: '/project', executor_profile: 'coding' }
const TIME = '2026-01-31T12:00:00.000Z'

async function withClient(service: Service) {
  const asked = new Set<string>()
  const client = new RunqueueClient({
    url: service.url,
    fetch: (input, init) => {
      asked.add(`${init?.method} ${new URL(String(input)).pathname}`)
      return fetch(input, init)
    },
  })
  return { service, client, asked }
}

export function describeClient(setup: Setup): void {
  const given = shared(setup)

  describe('the typed client', () => {
    test('goes the way of a run, and calls every route', async () => {
      const { service, client, asked } = await withClient(await given())
      expect(await client.health()).toEqual({ status: 'healthy' })
      const { runner_id } = await client.registerRunner(RUNNER)
      await client.heartbeat(runner_id)
      const added = await client.addRun(RUN)
      const more = await client.addRuns([RUN, RUN, RUN])
      expect(more.runs).toHaveLength(3)

      expect((await client.explainRun(added.run_id)).run_id).toBe(added.run_id)
      expect((await client.explainRunner(runner_id)).runner_id).toBe(runner_id)

      const [run] = (await client.claimRuns({ runner_id })).runs
      if (!run) throw new Error('nothing was claimed')
      expect(run.run_id).toBe(added.run_id)
      const { run_id, session_id, claim_token } = run
      await client.reportStarted(run_id, { runner_id, claim_token })
      const binding = { executor_session_id: 'x', hostname: 'client', executor_profile: 'coding' }
      expect((await client.bindSession(session_id, binding)).session.status).toBe('running')
      await client.addSessionEvent(session_id, { event_type: 'message', timestamp: TIME })
      expect((await client.listSessionEvents(session_id)).events.length).toBeGreaterThan(1)
      await client.updateSession(session_id, { agent_name: 'reviewer' })
      const result = { text: 'done', data: { loss: 0.1 } }
      await client.reportCompleted(run_id, { runner_id, claim_token, result })
      expect(await client.waitForRun(run_id)).toMatchObject({ status: 'completed', result })
      expect(await client.getRun(run_id)).toMatchObject({ attempt: 1 })
      const followed: string[] = []
      for await (const event of client.events({ run_id, last_event_id: 0 })) {
        expect(event.session_id).toBe(session_id)
        followed.push(event.to_status)
        if (event.to_status === 'completed') break
      }
      expect(followed).toEqual(['pending', 'claimed', 'running', 'completed'])
      const { events } = await client.listRunEvents(run_id)
      expect(events.map(({ to_status }) => to_status).at(-1)).toBe('completed')
      expect((await client.getSession(session_id)).session.agent_name).toBe('reviewer')
      expect(await client.getSessionStatus(session_id)).toEqual({ status: 'finished' })
      expect(await client.getSessionResult(session_id)).toMatchObject({ result_text: 'done' })
      expect((await client.getSessionAffinity(session_id)).affinity.hostname).toBe('client')
      await client.reportSessionStatus(session_id, { runner_id, status: 'finished' })

      const polled = await client.pollRuns(runner_id)
      if (!polled || !('run' in polled)) throw new Error('no run was polled')
      await client.reportFailed(polled.run.run_id, { runner_id, error: 'no' })
      await client.retryRun(polled.run.run_id)
      const [second] = (await client.claimRuns({ runner_id })).runs
      await client.reportStopped(second?.run_id ?? '', { runner_id })
      expect(await client.stopRun(more.runs[2]?.run_id ?? '')).toMatchObject({ status: 'stopped' })
      expect(await client.stopSession(session_id)).toMatchObject({ status: 'finished' })
      expect((await client.listRuns({ status: ['failed'] })).runs).toHaveLength(1)
      expect((await client.listSessions()).sessions).toHaveLength(4)
      expect(await client.deleteSession(session_id)).toMatchObject({ deleted: { runs_count: 1 } })
      expect((await client.listRunners()).runners).toHaveLength(1)
      await client.removeRunner(runner_id, { self: true })
      expect(await client.pollRuns(runner_id).catch((error: unknown) => error)).toMatchObject({
        code: 'runner_not_registered',
      })

      const patterns = Object.values(ROUTES)
        .flatMap(Object.keys)
        // A word for a parameter may be another route's own: those without come first.
        .sort((a, b) => a.split(':').length - b.split(':').length)
      const routeOf = (request: string) =>
        patterns.find((route) => new RegExp(`^${route.replace(/:\w+/g, '[^/]+')}$`).test(request))
      const called = new Set([...asked].map(routeOf))
      const missing = patterns.filter((route) => !called.has(route) && !NO_METHOD.includes(route))
      expect(missing).toEqual([])
      expect(service.errors).toEqual([])
    })
  })
}
