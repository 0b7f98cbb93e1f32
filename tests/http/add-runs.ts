/** POST /runs. */
import { describe, expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import { type Service, type Setup, shared } from './support/service.ts'

/** Every documented key of a run that nobody touched yet. */
const untouched = {
  project_dir: null,
  agent_name: null,
  parent_session_id: null,
  execution_mode: 'sync',
  demands: null,
  status: 'pending',
  runner_id: null,
  error: null,
  created_at: '2026-01-31T12:00:00.000Z',
  claimed_at: null,
  started_at: null,
  completed_at: null,
  available_at: null,
  timeout_at: null,
  priority: 0,
  attempt: 0,
  max_attempts: 1,
  retry_delay_seconds: null,
  on_lost: 'fail',
  result: null,
}

/** The request is refused as `check` says, and nothing is stored. */
async function refused(
  service: Service,
  body: unknown,
  check: (answer: Awaited<ReturnType<Service['post']>>) => void,
): Promise<void> {
  const before = await service.everything()
  check(await service.post('/runs', body))
  expect(await service.everything()).toEqual(before)
}

const KEYS = ['matching_runners', 'run_id', 'session_id', 'status']

export function describeAddRuns(setup: Setup): void {
  const given = shared(setup)

  describe('POST /runs: start_session', () => {
    test.each([
      ['the older generation: prompt', { prompt: 'hello' }],
      ['the newer generation: parameters', { parameters: { prompt: 'hello' } }],
    ])('%s', async (_, content) => {
      const { post, get, session } = await given()
      const answer = await post('/runs', { type: 'start_session', ...content })
      const { run_id, session_id } = answer.body as { run_id: string; session_id: string }
      expect(answer).toMatchObject({ status: 201, body: { run_id, session_id, status: 'pending' } })
      expect(Object.keys(answer.body).sort()).toEqual(KEYS)
      expect(run_id).toMatch(/^run_[0-9a-f]{12}$/)
      expect(session_id).toMatch(/^ses_[0-9a-f]{12}$/)
      expect((await get(`/runs/${run_id}`)).body).toEqual({
        ...untouched,
        ...{ run_id, session_id, type: 'start_session' },
        ...{ prompt: 'hello', parameters: { prompt: 'hello' } },
      })
      expect(await session(session_id)).toEqual({
        session_id,
        status: 'pending',
        created_at: '2026-01-31T12:00:00.000Z',
        project_dir: null,
        agent_name: null,
        last_resumed_at: null,
        parent_session_id: null,
        executor_session_id: null,
        executor_profile: null,
        hostname: null,
      })
    })

    test('all that a request may state is kept', async () => {
      const { addRun, run, session } = await setup()
      const parent = await addRun()
      const facts = {
        session_id: 'my-session',
        agent_name: 'nobody-knows-this-agent',
        project_dir: '/somewhere',
        parent_session_id: parent.session_id,
        execution_mode: 'async_callback',
        priority: 7,
        max_attempts: 3,
        parameters: { prompt: 'hello', depth: [1, { two: null }] },
      }
      const { run_id } = await addRun({ prompt: undefined, ...facts })
      expect(await run(run_id)).toMatchObject({ ...facts, prompt: 'hello' })
      expect(await session('my-session')).toMatchObject({
        status: 'pending',
        agent_name: 'nobody-knows-this-agent',
        project_dir: '/somewhere',
      })
    })

    test('optional fields may be null', async () => {
      const { addRun, get } = await given()
      const none = Object.fromEntries(
        [
          ...['parameters', 'session_id', 'agent_name', 'project_dir', 'parent_session_id'],
          ...['execution_mode', 'additional_demands', 'scope', 'priority', 'max_attempts'],
          ...['timeout_seconds', 'idempotency_key'],
        ].map((field) => [field, null]),
      )
      const { run_id, session_id } = await addRun(none)
      expect((await get(`/runs/${run_id}`)).body).toEqual({
        ...untouched,
        ...{ run_id, session_id, type: 'start_session' },
        ...{ prompt: 'hello', parameters: { prompt: 'hello' } },
      })
    })

    test('a session id that is taken', async () => {
      const service = await setup()
      await service.addRun({ session_id: 'mine' })
      await refused(
        service,
        { type: 'start_session', session_id: 'mine', prompt: 'hello' },
        (answer) => expectRefusal(answer, 409, 'session_exists', "Session 'mine' already exists"),
      )
    })

    test('a parent that is unknown', async () => {
      const service = await given()
      await refused(
        service,
        { type: 'start_session', prompt: 'hello', parent_session_id: 'ses_gone' },
        (answer) => expectRefusal(answer, 404, 'parent_not_found'),
      )
    })

    test('neither parameters nor prompt', async () => {
      const service = await given()
      for (const content of [{}, { parameters: null }, { prompt: null, parameters: null }]) {
        await refused(service, { type: 'start_session', ...content }, (answer) =>
          expectInvalid(answer, ['body', 'parameters']),
        )
      }
    })

    test.each([
      [{ parameters: {} }, 'required', "'prompt' is a required property"],
      [{ parameters: { prompt: '' } }, 'properties/prompt/minLength', "'' should be non-empty"],
      [{ prompt: '' }, 'properties/prompt/minLength', "'' should be non-empty"],
      [{ parameters: { prompt: 5 } }, 'properties/prompt/type', "5 is not of type 'string'"],
      [{ parameters: { prompt: null } }, 'properties/prompt/type', "null is not of type 'string'"],
    ])('a prompt that is no text: %j', async (content, schema_path, message) => {
      const service = await given()
      const body = { type: 'start_session', agent_name: 'reviewer', ...content }
      await refused(service, body, (answer) =>
        expectRefusal(answer, 400, 'parameter_validation_failed', {
          error: 'parameter_validation_failed',
          message: "Parameters do not match agent's parameters_schema",
          agent_name: 'reviewer',
          validation_errors: [{ path: '$.prompt', message, schema_path }],
          parameters_schema: expect.objectContaining({ type: 'object', required: ['prompt'] }),
        }),
      )
    })

    test.each([
      ['type', 'begin'],
      ['type', null],
      ['parameters', 'text'],
      ['parameters', ['prompt']],
      ['prompt', { text: 'hello' }],
      ['session_id', 5],
      ['agent_name', {}],
      ['project_dir', 5],
      ['parent_session_id', false],
      ['execution_mode', 'async'],
      ['scope', []],
      ['priority', 1.5],
      ['priority', '5'],
      ['max_attempts', 0],
      ['max_attempts', 101],
      ['timeout_seconds', -1],
      ['timeout_seconds', 0],
      ['idempotency_key', 5],
    ])('ill-typed: %s is %j', async (field, value) => {
      const service = await given()
      const body = { type: 'start_session', prompt: 'hello', [field]: value }
      await refused(service, body, (answer) => expectInvalid(answer, ['body', field]))
    })
  })

  describe('POST /runs: resume_session', () => {
    async function withSession(service: Service, bind?: object, facts?: object): Promise<string> {
      const { session_id } = await service.addRun({ session_id: 'ses_old', ...facts })
      const binding = { executor_session_id: 'x1', hostname: 'alpha', executor_profile: 'coding' }
      if (bind) await service.post(`/sessions/${session_id}/bind`, { ...binding, ...bind })
      return session_id
    }

    const resume = (facts: object = {}) => ({
      ...{ type: 'resume_session', session_id: 'ses_old', prompt: 'go on' },
      ...facts,
    })

    test('demands a session', async () => {
      const service = await given()
      const body = { type: 'resume_session', prompt: 'go on' }
      const detail = 'session_id is required for resume_session'
      await refused(service, body, (answer) =>
        expectRefusal(answer, 400, 'session_id_required', detail),
      )
    })

    test('of a session that is unknown', async () => {
      const service = await given()
      await refused(service, resume(), (answer) =>
        expectRefusal(answer, 404, 'session_not_found', "Session 'ses_old' not found"),
      )
    })

    test('the older and the newer generation', async () => {
      const service = await setup()
      await withSession(service)
      expect(await service.post('/runs', resume())).toMatchObject({
        status: 201,
        body: { session_id: 'ses_old', status: 'pending' },
      })
      const { run_id } = await service.addRun(resume({ parameters: { prompt: 'go on' } }))
      expect(await service.run(run_id)).toMatchObject({
        ...{ type: 'resume_session', session_id: 'ses_old' },
        ...{ prompt: 'go on', demands: null, timeout_at: null },
      })
    })

    test('takes agent_name and project_dir from the session where it states none', async () => {
      const service = await setup()
      await withSession(service, undefined, { agent_name: 'reviewer', project_dir: '/project' })
      const taken = await service.addRun(resume())
      expect(await service.run(taken.run_id)).toMatchObject({
        agent_name: 'reviewer',
        project_dir: '/project',
      })
      const own = await service.addRun(resume({ agent_name: 'writer', project_dir: '/other' }))
      expect(await service.run(own.run_id)).toMatchObject({
        agent_name: 'writer',
        project_dir: '/other',
      })
    })

    test('demands the hostname and executor_profile that a session is bound to', async () => {
      const service = await setup()
      await withSession(service, { hostname: 'host-7', executor_profile: 'research' })
      const { run_id } = await service.addRun(resume())
      expect(await service.run(run_id)).toMatchObject({
        demands: { hostname: 'host-7', executor_profile: 'research', tags: [] },
        timeout_at: '2026-01-31T12:05:00.000Z',
      })
    })

    test('the binding wins over additional_demands; tags are united', async () => {
      const service = await setup()
      await withSession(service, { hostname: 'host-7', executor_profile: 'research' })
      const additional_demands = {
        ...{ hostname: 'host-8', executor_profile: 'coding', project_dir: '/project' },
        tags: ['gpu', 'big', 'gpu'],
      }
      const { run_id } = await service.addRun(resume({ additional_demands }))
      expect((await service.run(run_id)).demands).toEqual({
        ...{ hostname: 'host-7', executor_profile: 'research', project_dir: '/project' },
        tags: ['big', 'gpu'],
      })
    })

    test('goes to a runner where the session lives, of either generation', async () => {
      const service = await setup()
      const older = { executor_profile: undefined, executor_type: 'claude-code' }
      const runner = await service.register(older)
      const elsewhere = await service.register({ ...older, hostname: 'beta' })
      await service.begin({ session_id: 'ses_old' }, runner)
      await service.post('/sessions/ses_old/bind', {
        ...{ executor_session_id: 'x1', hostname: 'alpha', project_dir: '/project' },
        executor_type: 'claude-code',
      })
      const { run_id } = await service.addRun(resume())
      expect((await service.claim(elsewhere)).runs).toEqual([])
      expect((await service.claim(runner)).runs).toMatchObject([{ run_id }])
    })
  })

  describe('POST /runs: scope', () => {
    const scopeOf = async ({ register, claim }: Service, run_id: string) => {
      const { runs } = await claim(await register(), { limit: 100 })
      return runs.find((run) => run.run_id === run_id)?.scope
    }

    test('a child inherits the scope of the latest run of its parent; own keys win', async () => {
      const service = await setup()
      const { session_id } = await service.addRun({ scope: { tenant: 'a', old: true } })
      await service.addRun({
        ...{ type: 'resume_session', session_id },
        scope: { tenant: 'b', trace: { id: 1 } },
      })
      const child = await service.addRun({
        parent_session_id: session_id,
        scope: { trace: { id: 2 }, own: [] },
      })
      expect(await scopeOf(service, child.run_id)).toEqual({
        tenant: 'b',
        trace: { id: 2 },
        own: [],
      })
    })

    test('grandchildren inherit, too; without a scope there is null', async () => {
      const service = await setup()
      const parent = await service.addRun({ scope: { tenant: 'a' } })
      const child = await service.addRun({ parent_session_id: parent.session_id })
      const grandchild = await service.addRun({ parent_session_id: child.session_id })
      const orphan = await service.addRun()
      const { runs } = await service.claim(await service.register(), { limit: 4 })
      expect(runs.map(({ run_id, scope }) => [run_id, scope])).toEqual([
        [parent.run_id, { tenant: 'a' }],
        [child.run_id, { tenant: 'a' }],
        [grandchild.run_id, { tenant: 'a' }],
        [orphan.run_id, null],
      ])
    })
  })

  describe('POST /runs: demands', () => {
    const demanding = (additional_demands: unknown, facts: object = {}) => ({
      ...{ type: 'start_session', prompt: 'hello', additional_demands },
      ...facts,
    })

    test.each([
      [{ hostname: 'alpha' }, { hostname: 'alpha', tags: [] }],
      [
        { executor_type: 'autonomous', tags: null },
        { executor_type: 'autonomous', tags: [] },
      ],
      [{ tags: ['b', 'a', 'b'] }, { tags: ['a', 'b'] }],
      [
        { hostname: '', project_dir: '/p', flavour: 'x' },
        { project_dir: '/p', tags: [] },
      ],
    ])('%j', async (additional_demands, demands) => {
      const { addRun, run } = await setup({ config: { noMatchTimeoutSeconds: 90 } })
      const { run_id } = await addRun(demanding(additional_demands))
      expect(await run(run_id)).toMatchObject({ timeout_at: '2026-01-31T12:01:30.000Z' })
      expect((await run(run_id)).demands).toEqual(demands)
    })

    test.each([[null], [{}], [{ tags: [] }], [{ hostname: null, tags: null }], [{ hostname: '' }]])(
      'none asked: %j',
      async (additional_demands) => {
        const { addRun, run } = await given()
        const { run_id } = await addRun(demanding(additional_demands, { timeout_seconds: 5 }))
        expect(await run(run_id)).toMatchObject({ demands: null, timeout_at: null })
      },
    )

    test('timeout_seconds, of which fractions count', async () => {
      const { addRun, run } = await given()
      const { run_id } = await addRun(demanding({ tags: ['gpu'] }, { timeout_seconds: 1.5 }))
      expect((await run(run_id)).timeout_at).toBe('2026-01-31T12:00:01.500Z')
    })

    test.each([
      ['hostname=alpha', []],
      [['gpu'], []],
      [{ hostname: 5 }, ['hostname']],
      [{ executor_profile: ['coding'] }, ['executor_profile']],
      [{ tags: 'gpu' }, ['tags']],
      [{ tags: { gpu: true } }, ['tags']],
      [{ tags: [5] }, ['tags', 0]],
      [{ tags: ['gpu', ''] }, ['tags', 1]],
    ])('ill-typed: %j', async (additional_demands, path) => {
      const service = await given()
      const before = await service.everything()
      const answer = await service.post('/runs', demanding(additional_demands))
      expectInvalid(answer)
      const [fault] = (answer.body as { detail: [{ loc: unknown[] }] }).detail
      expect(fault.loc).toEqual(['body', 'additional_demands', ...path])
      expect(await service.everything()).toEqual(before)
    })

    test('a run goes to no runner that lacks what it demands', async () => {
      const service = await setup()
      const plain = await service.register({ hostname: 'plain' })
      const tagged = await service.register({ hostname: 'tagged', tags: ['gpu', 'big'] })
      const { run_id } = await service.addRun(demanding({ tags: ['gpu'] }))
      expect((await service.poll(plain)).status).toBe(204)
      expect((await service.poll<{ run: RunView }>(tagged)).body.run.run_id).toBe(run_id)
    })
  })
}
