/** Runners come, give signs of life and are listed. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { RunnerView } from '../../src/http/views.ts'
import { expectInvalid, expectRefusal } from './support/api.ts'
import { type Service, type Setup, shared } from './support/service.ts'

const idOf = (identity: string) =>
  `lnch_${createHash('sha256').update(identity).digest('hex').slice(0, 12)}`

const OLDER = { hostname: 'h', project_dir: '/p', executor_type: 'claude-code' }
const NEWER = {
  hostname: 'h',
  project_dir: '/p',
  executor_profile: 'coding',
  executor: { type: 'autonomous', command: 'executors/claude', config: { deep: [1] } },
}

async function listed({ get }: Service): Promise<RunnerView[]> {
  return (await get<{ runners: RunnerView[] }>('/runners')).body.runners
}

export function describeRegistry(setup: Setup): void {
  const given = shared(setup)

  describe('POST /runner/register', () => {
    test.each([
      ['the older generation', OLDER, 'h:/p:claude-code'],
      ['the newer generation', NEWER, 'h:/p:coding:executors/claude'],
      ['a profile wins over a type', { ...NEWER, ...OLDER }, 'h:/p:coding:executors/claude'],
      ['a profile without an executor', { ...NEWER, executor: null }, 'h:/p:coding:'],
      ['an executor without a command', { ...NEWER, executor: { type: 'x' } }, 'h:/p:coding:'],
      ['text beyond ASCII', { ...OLDER, hostname: 'höst' }, 'höst:/p:claude-code'],
    ])('%s', async (_, body, identity) => {
      const { post } = await setup({
        config: { pollTimeoutSeconds: 12.5, heartbeatIntervalSeconds: 45 },
      })
      const answer = await post('/runner/register', body)
      expect(answer.status).toBe(200)
      expect(answer.body).toEqual({
        runner_id: idOf(identity),
        poll_endpoint: '/runner/runs',
        poll_timeout_seconds: 12.5,
        heartbeat_interval_seconds: 45,
      })
    })

    test('an id that was worked out by hand', async () => {
      const { register } = await setup()
      // printf 'alpha:/project:coding:' | sha256sum
      expect(await register()).toBe('lnch_8aea70269c10')
      // printf 'alpha:/project:claude-code' | sha256sum
      const older = { executor_profile: null, executor_type: 'claude-code' }
      expect(await register(older)).toBe('lnch_22a7a072ed8b')
    })

    test.each([
      ['hostname', { ...NEWER, hostname: undefined }, ['hostname']],
      ['project_dir', { ...NEWER, project_dir: null }, ['project_dir']],
      ['neither profile nor type', { hostname: 'h', project_dir: '/p' }, ['executor_profile']],
      ['a command line as executor', { ...NEWER, executor: 'claude' }, ['executor']],
      ['tags as text', { ...NEWER, tags: 'gpu,big' }, ['tags']],
      ['a number as tag', { ...NEWER, tags: ['gpu', 5] }, ['tags', 1]],
      ['yes', { ...NEWER, require_matching_tags: 'yes' }, ['require_matching_tags']],
    ])('refused: %s', async (_, body, place) => {
      const service = await given()
      expectInvalid(await service.post('/runner/register', body), ['body', ...place])
      expect(await listed(service)).toEqual([])
    })

    test('409 while that id is online, in the words that existing runners read', async () => {
      const service = await setup()
      const runner_id = await service.register(NEWER)
      service.clock.advance(119.999)
      const before = await listed(service)
      const answer = await service.post('/runner/register', { ...NEWER, tags: ['gpu'] })
      expectRefusal(answer, 409, 'duplicate_runner', {
        error: 'duplicate_runner',
        message: `Runner with identity (h, /p, coding) is already registered and online as ${runner_id}`,
        runner_id,
        hostname: 'h',
        project_dir: '/p',
        executor_profile: 'coding',
        executor_type: 'autonomous',
      })
      expect(await listed(service)).toEqual(before)
    })

    test('409 of the older generation: executor_profile is there, null', async () => {
      const { post } = await setup()
      await post('/runner/register', OLDER)
      expect((await post('/runner/register', OLDER)).body['detail']).toMatchObject({
        error: 'duplicate_runner',
        executor_profile: null,
        executor_type: 'claude-code',
      })
    })

    test('a stale one is taken back: what is sent is replaced, the rest stays', async () => {
      const service = await setup()
      const { clock } = service
      const tagged = { tags: ['gpu', 'big'], require_matching_tags: true }
      const runner_id = await service.register({ ...NEWER, ...tagged })
      const registered_at = clock.now()
      clock.advance(120)
      expect(await listed(service)).toMatchObject([{ status: 'stale' }])
      expect(await service.register({ ...NEWER, executor: undefined })).not.toBe(runner_id)
      expect(await service.register(NEWER)).toBe(runner_id)
      const [back] = await listed(service)
      expect(back).toMatchObject({
        ...{ status: 'online', registered_at, last_heartbeat: clock.now() },
        // The tags are those of before; whether they must match is always as sent.
        ...{ tags: ['gpu', 'big'], require_matching_tags: false, executor: NEWER.executor },
      })
      clock.advance(120)
      await service.register({ ...NEWER, tags: [], executor: { ...NEWER.executor, type: 'new' } })
      expect((await listed(service))[0]).toMatchObject({
        tags: [],
        executor: { type: 'new', command: 'executors/claude' },
        executor_type: 'new',
      })
    })

    test('a stale one that was to be removed stays', async () => {
      const service = await setup()
      const runner_id = await service.register()
      await service.delete(`/runners/${runner_id}`)
      service.clock.advance(120)
      await service.register()
      const { run_id } = await service.addRun()
      expect((await service.claim(runner_id)).runs).toMatchObject([{ run_id }])
    })

    test('a runner that starts again keeps its running run', async () => {
      const service = await setup()
      const held = await service.begin()
      service.clock.advance(120)
      await service.register()
      expect((await service.run(held.run.run_id)).status).toBe('running')
      expect((await service.report('completed', held)).status).toBe(200)
    })
  })

  describe('POST /runner/heartbeat', () => {
    test('a stale runner is online again', async () => {
      const service = await setup()
      const runner_id = await service.register()
      service.clock.advance(500)
      expect((await listed(service))[0]).toMatchObject({
        ...{ status: 'stale', seconds_since_heartbeat: 500 },
      })
      const beat = await service.post('/runner/heartbeat', { runner_id })
      expect(beat).toMatchObject({ status: 200, body: { ok: true } })
      expect((await listed(service))[0]).toMatchObject({
        ...{ status: 'online', seconds_since_heartbeat: 0, last_heartbeat: service.clock.now() },
      })
      expectRefusal(
        await service.post('/runner/register', {
          ...{ hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' },
        }),
        409,
        'duplicate_runner',
      )
    })

    test('of a runner that is not registered', async () => {
      const { post } = await setup()
      const answer = await post('/runner/heartbeat', { runner_id: 'lnch_gone' })
      expectRefusal(answer, 401, 'runner_not_registered', 'Runner not registered')
    })
  })

  describe('GET /runners', () => {
    test('every documented key, null when unset', async () => {
      const service = await setup()
      const { clock } = service
      expect(await listed(service)).toEqual([])
      const older = await service.register({ ...OLDER, executor_profile: null })
      clock.advance(30)
      const newer = await service.register({ ...NEWER, tags: ['gpu'], require_matching_tags: true })
      clock.advance(89.5)
      const common = { hostname: 'h', project_dir: '/p' }
      expect(await listed(service)).toEqual([
        {
          ...{ ...common, runner_id: older, executor_type: 'claude-code' },
          ...{ executor_profile: null, executor: null, tags: [], require_matching_tags: false },
          ...{ registered_at: clock.ago(119.5), last_heartbeat: clock.ago(119.5) },
          ...{ status: 'online', seconds_since_heartbeat: 119.5 },
        },
        {
          ...{ ...common, runner_id: newer, executor_type: 'autonomous' },
          ...{ executor_profile: 'coding', executor: NEWER.executor },
          ...{ tags: ['gpu'], require_matching_tags: true },
          ...{ registered_at: clock.ago(89.5), last_heartbeat: clock.ago(89.5) },
          ...{ status: 'online', seconds_since_heartbeat: 89.5 },
        },
      ])
      clock.advance(0.5)
      expect((await listed(service)).map(({ status }) => status)).toEqual(['stale', 'online'])
    })

    test('the registry outlives the server', async () => {
      const service = await setup()
      const runner_id = await service.register()
      const next = await service.another()
      await service.close()
      expect(await listed(next)).toMatchObject([{ runner_id, status: 'online' }])
      expect((await next.poll(runner_id)).status).toBe(204)
    })
  })
}
