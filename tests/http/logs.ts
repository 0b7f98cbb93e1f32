import { describe, expect, it } from 'vitest'
import { CAUSES } from '../../src/queue/cause.ts'
import type { LiveRunEvent } from '../../src/queue/run-event.ts'
import { aNewToken } from '../support/factories.ts'
import { changeInEachWay } from './support/each-way.ts'
import type { Service, Setup } from './support/service.ts'

const INFO = 30
const DEBUG = 20

const changesIn = ({ lines }: Service) =>
  lines.flatMap(({ level, msg, time: _, ...facts }) =>
    level === INFO && msg !== 'request' ? [{ msg, ...facts }] : [],
  )

const requestsIn = ({ lines }: Service) => lines.filter(({ msg }) => msg === 'request')

export function describeLogs(setup: Setup): void {
  describe('a request', () => {
    it('has the id that it came with, in its answer and in all lines of it', async () => {
      const service = await setup()
      const headers = { 'x-request-id': 'req-1:a/b.c_d' }
      const body = { type: 'start_session', prompt: 'hello' }
      const answer = await service.post('/runs', body, { headers })
      expect(answer.headers.get('x-request-id')).toBe('req-1:a/b.c_d')
      expect(service.lines).toHaveLength(2)
      for (const line of service.lines) expect(line).toMatchObject({ request_id: 'req-1:a/b.c_d' })
    })

    it.each(['', 'a b', 'x'.repeat(129), '{"a":1}'])(
      'gets one where it came with %j',
      async (id) => {
        const { get } = await setup()
        const ids: (string | null)[] = []
        for (const headers of [{ 'x-request-id': id }, {}]) {
          ids.push((await get('/runs', { headers })).headers.get('x-request-id'))
        }
        for (const given of ids) expect(given).toMatch(/^[0-9a-f-]{36}$/)
        expect(ids[0]).not.toBe(ids[1])
      },
    )

    it.each([
      ['GET', '/nothing', 404],
      ['DELETE', '/runs', 405],
      ['GET', '/runs/run_unknown', 404],
      ['POST', '/runs', 422],
    ])('that is refused has it too: %s %s', async (method, path, status) => {
      const { send } = await setup()
      const answer = await send(method, path, { headers: { 'x-request-id': 'mine' } })
      expect([answer.status, answer.headers.get('x-request-id')]).toEqual([status, 'mine'])
    })

    it('is told with whom and what it was about; polls in vain only at debug', async () => {
      const service = await setup()
      const runner_id = await service.register()
      await service.poll(runner_id)
      const { run } = await service.hold({}, runner_id)
      await service.report('started', { run, runner_id })
      const [, poll, , claim, started] = requestsIn(service)
      expect(poll).toMatchObject({ level: DEBUG, status: 204, runner_id, path: '/runner/runs' })
      expect(claim).toMatchObject({ level: INFO, status: 200, runner_id })
      expect(started).toMatchObject({
        ...{ level: INFO, method: 'POST', status: 200, ms: expect.any(Number), runner_id },
        ...{ route: 'POST /runner/runs/:run_id/started', run_id: run.run_id },
      })
    })

    it('is told at info, but for polls in vain; not at warn', async () => {
      const service = await setup({ logLevel: 'info' })
      const runner_id = await service.register()
      await service.poll(runner_id)
      await service.get('/runs?status=pending#part')
      const told = requestsIn(service).map(({ path }) => path)
      expect(told).toEqual(['/runner/register', '/runs'])
      const silent = await setup({ logLevel: 'warn' })
      await silent.addRun()
      expect(silent.lines).toEqual([])
    })
  })

  describe('the log', () => {
    it('tells each change with its run, its runner and its request', async () => {
      const service = await setup()
      const held = await service.begin()
      const { runner_id } = held
      const { run_id, session_id } = held.run
      await service.report('completed', held, { result: { text: 'secret', data: null } })
      const other = await service.addRun()
      await service.post(`/runs/${other.run_id}/stop`)
      await service.delete(`/runners/${runner_id}?self=true`)
      const request_id = expect.any(String)
      const run = { request_id, run_id, session_id }
      const by = { changed_by: 'client', attempt: 0 }
      const at = { changed_by: 'runner', attempt: 1, runner_id }
      const two = { ...run, run_id: other.run_id, session_id: other.session_id }
      const cancelled = { status: 'stopped', cause: 'cancelled', ...by }
      expect(changesIn(service)).toEqual([
        { msg: 'runner registered', request_id, runner_id, runner_hostname: 'alpha' },
        { msg: 'run added', ...run, status: 'pending', cause: 'added', ...by },
        { msg: 'run claimed', ...run, status: 'claimed', cause: 'claimed', ...at },
        { msg: 'run started', ...run, status: 'running', cause: 'started', ...at },
        { msg: 'run completed', ...run, status: 'completed', cause: 'completed', ...at },
        { msg: 'run added', ...two, status: 'pending', cause: 'added', ...by },
        { msg: 'run stopped, nobody had taken it', ...two, ...cancelled },
        { msg: 'runner removed', request_id, runner_id },
      ])
    })

    it('has one line for each change of a run, whoever made it', async () => {
      const service = await setup()
      await changeInEachWay(service)
      const { engine, lines } = service
      const events: LiveRunEvent[] = []
      let page = await engine.runFeed.read('0')
      for (; page.items.length > 0; page = await engine.runFeed.read(page.next)) {
        events.push(...page.items.map(({ item }) => item))
      }
      const happened = events.map(
        ({ run_id, session_id, to_status, cause, changed_by }) =>
          `${run_id} ${session_id} ${to_status} ${cause} ${changed_by}`,
      )
      // What was deleted has no history any more.
      const known = new Set<unknown>(events.map(({ run_id }) => run_id))
      const changes = lines.filter(({ cause, run_id }) => cause && known.has(run_id))
      const told = changes.map(
        ({ run_id, session_id, status, cause, changed_by }) =>
          `${run_id} ${session_id} ${status} ${cause} ${changed_by}`,
      )
      expect(told.sort()).toEqual(happened.sort())
      // No route and no sweep changes demands.
      const causes = new Set(CAUSES.filter((cause) => cause !== 'demands_changed'))
      expect(new Set(events.map(({ cause }) => cause))).toEqual(causes)
    })

    it('never tells prompts, results, errors that runs ended with, or tokens', async () => {
      const service = await setup()
      const secret = 'sEcReT'
      const prompt = { prompt: secret, scope: { key: secret } }
      const failed = await service.begin(prompt)
      await service.report('failed', failed, { error: secret })
      const { runner_id } = failed
      const done = await service.begin(prompt, runner_id)
      await service.report('completed', done, { result: { text: secret, data: { secret } } })
      await service.post('/runs', { type: 'start_session', prompt: 1, note: secret })
      await service.engine.tokens.create(aNewToken(), service.clock.now())
      await service.get(`/runs?token=${secret}`, { headers: { authorization: `Bearer ${secret}` } })
      expect(service.lines.length).toBeGreaterThan(10)
      expect(JSON.stringify(service.lines)).not.toContain(secret)
      expect(JSON.stringify(service.lines)).not.toContain(done.run.claim_token)
    })
  })
}
