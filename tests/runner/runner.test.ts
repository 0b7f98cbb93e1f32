import { expect, test } from 'vitest'
import { claimedRun, FakeServer } from './fake-server.ts'
import { fakeServer, harness, runnerOn, script, staying } from './harness.ts'

test('carries out a run and reports what the command printed', async () => {
  const { server } = await harness()
  const run = claimedRun({ prompt: 'grüße\n' })
  await server.answerPoll({ runs: [run] })

  const { id, body } = await server.call('completed')
  expect(id).toBe(run.run_id)
  expect(body).toEqual({
    runner_id: 'lnch_fake',
    claim_token: run.claim_token,
    result: { text: 'grüße\n', data: null },
  })
})

test('leaves in the name of a process before it, and asks for work only when that is settled', async () => {
  const server = await fakeServer()
  server.script('settle', 503)
  runnerOn(server, {})
  await server.call('claim')
  const routes = server.calls.map((each) => each.route)
  expect(routes).toEqual(['register', 'settle', 'settle', 'settle', 'claim'])
  expect(server.of('settle').map(({ id }) => id)).toEqual(['lnch_fake', 'lnch_fake', ''])
})

test('tells the server who it is', async () => {
  const { server } = await harness({
    hostname: 'build-7',
    profile: 'second',
    command: ['sh', '-c', 'true'],
    tags: ['gpu'],
    require_matching_tags: true,
  })
  expect((await server.call('register')).body).toEqual({
    hostname: 'build-7',
    project_dir: process.cwd(),
    executor_profile: 'second',
    executor: { type: 'shell', command: 'sh -c true' },
    tags: ['gpu'],
    require_matching_tags: true,
  })
})

test('tells of output that is more than is kept', async () => {
  const { server, events } = await harness({ command: ['seq', '9'], output_bytes: 4 })
  await server.answerPoll({ runs: [claimedRun()] })
  expect((await server.call('completed')).body.result.text).toBe('8\n9\n')
  expect(events.find(({ event }) => event === 'completed')?.message).toContain(
    'without the first 14 bytes of its output',
  )
})

test('reports a failure with the exit code and the end of stderr', async () => {
  const { server } = await harness({ command: ['sh', '-c', 'echo oh no >&2; exit 3'] })
  await server.answerPoll({ runs: [claimedRun()] })
  expect((await server.call('failed')).body.error).toBe('the command exited with code 3\noh no')
})

test.each([
  [null, '/\n'],
  ['/usr', '/usr\n'],
  ['usr', '/usr\n'],
])('the runner in /, a run with project_dir %s: it works in %s', async (project_dir, output) => {
  const { server } = await harness({ command: ['pwd'], project_dir: '/' })
  await server.answerPoll({ runs: [claimedRun({ project_dir })] })
  expect((await server.call('completed')).body.result.text).toBe(output)
})

test('a run whose directory does not exist fails', async () => {
  const { server } = await harness()
  await server.answerPoll({ runs: [claimedRun({ project_dir: '/there/is/none' })] })
  expect((await server.call('failed')).body.error).toBe(
    'cannot work in project_dir /there/is/none: there is no such directory on the host of this runner',
  )
})

test('asks for as many runs as it has free slots, and for stops alone when it has none', async () => {
  const { server } = await harness({ slots: 3, command: staying() })
  const runs = [claimedRun(), claimedRun(), claimedRun()]
  expect((await server.call('claim', 1)).body).toMatchObject({ limit: 3, wait_seconds: 30 })
  await server.answerPoll({ runs: runs.slice(0, 1) })
  expect((await server.call('claim', 2)).body.limit).toBe(2)
  await server.answerPoll({ runs: runs.slice(1) })
  const full = (await server.call('claim', 3)).body
  expect(full.limit).toBe(0)
  expect(full).not.toHaveProperty('claim_key')

  await server.call('signal', 3)
  await server.answerPoll({ stop_runs: [runs[0]?.run_id ?? ''] })
  await server.call('stopped')
  await expect.poll(() => server.of('claim').at(-1)?.body.limit).toBe(1)
})

test('a claim whose answer was lost is repeated with its key, an answered one is not', async () => {
  const server = await fakeServer()
  server.script('claim', 'lost', 503, 'lost')
  runnerOn(server)
  const keys = new Set<string>()
  for (const number of [1, 2, 3, 4]) {
    keys.add((await server.call('claim', number)).body.claim_key)
  }
  expect(keys.size).toBe(1)
  await server.answerPoll({ runs: [] })
  keys.add((await server.call('claim', 5)).body.claim_key)
  expect(keys.size).toBe(2)
})

test('the same claim told twice is carried out once', async () => {
  const { server } = await harness({ slots: 2, command: staying() })
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  await server.answerPoll({ runs: [run] })
  await server.call('claim', 3)
  await server.call('signal')
  expect(server.of('started')).toHaveLength(1)
})

test('reports are repeated until they are answered', async () => {
  const server = await fakeServer()
  server.script('started', 'lost', 500)
  server.script('completed', 503, 'lost', 429)
  const { events } = runnerOn(server)
  await server.answerPoll({ runs: [claimedRun()] })
  const last = await server.call('completed', 4)
  expect(last.body.result.text).toBe('hello')
  expect(server.of('started')).toHaveLength(3)
  await server.answerPoll({})
  expect(events.map((each) => each.event)).toContain('recovered')
})

test('a run whose start is refused is not carried out', async () => {
  const server = await fakeServer()
  server.script('started', 409, 404, 401)
  const { events } = runnerOn(server, { command: script(`signal('carried-out')`) })
  for (const claim of [1, 2, 3, 4]) {
    const run = claimedRun()
    await server.answerPoll({ runs: [run] })
    expect((await server.call('started', claim)).id).toBe(run.run_id)
  }
  await server.call('completed')
  expect(server.of('signal')).toHaveLength(1)
  expect(events.filter((each) => each.event === 'report_refused')).toHaveLength(3)
})

test.each([401, 404, 409, 422])('an end refused with %i is not reported again', async (status) => {
  const server = await fakeServer()
  server.script('completed', status)
  runnerOn(server)
  const [first, second] = [claimedRun(), claimedRun()]
  await server.answerPoll({ runs: [first] })
  await server.call('completed', 1)
  await server.answerPoll({ runs: [second] })
  expect((await server.call('completed', 2)).id).toBe(second.run_id)
})

test('waits for a server that is not there yet', async () => {
  const server = new FakeServer()
  await server.listen()
  await server.close()
  const { events } = runnerOn(server)
  await expect.poll(() => events.map((each) => each.event)).toEqual(['retrying'])
  expect(events[0]?.message).toMatch(/^cannot register: cannot reach runqueue at /)
  await server.listen()
  await server.call('claim')
  expect(events.map((each) => each.event)).toEqual(['retrying', 'recovered', 'registered'])
  await server.close()
})

test('work goes on while the server is away, and its end is reported when it is back', async () => {
  const { server, events } = await harness({
    command: script(`(async () => {
      while (await signal('server-is-there').catch(() => null)) await null
      console.log('done')
    })()`),
  })
  await server.answerPoll({ runs: [claimedRun()] })
  await server.call('signal')
  await server.close()
  const unheard = /^cannot report run_\d+ completed: cannot reach runqueue/
  await expect.poll(() => events.some((each) => unheard.test(each.message))).toBe(true)
  await server.listen()
  expect((await server.call('completed')).body.result.text).toBe('done\n')
  await server.call('claim')
  expect(server.of('register')).toHaveLength(1)
})

test.each(['claim', 'heartbeat'] as const)(
  'registers again when a %s is unknown',
  async (route) => {
    const server = await fakeServer()
    server.heartbeat_interval_seconds = 0.05
    server.script(route, 401)
    runnerOn(server)
    await server.call('register', 2)
    await server.call(route, 2)
  },
)

test('registers again once when a poll and a heartbeat find it unknown together', async () => {
  const server = await fakeServer()
  server.heartbeat_interval_seconds = 0.05
  // Neither is answered before the other has arrived.
  const unknown = () => Response.json({ detail: 'Runner not registered' }, { status: 401 })
  server.script('claim', async () => {
    await server.call('heartbeat')
    return unknown()
  })
  server.script('heartbeat', unknown)
  runnerOn(server)
  await server.call('register', 2)
  await server.call('claim', 2)
  await server.call('heartbeat', 3)
  expect(server.of('register')).toHaveLength(2)
})

test('sends heartbeats as often as the server asks for, errors or not', async () => {
  const server = await fakeServer()
  server.heartbeat_interval_seconds = 0.01
  server.script('heartbeat', 503, 'lost')
  runnerOn(server)
  expect((await server.call('heartbeat', 5)).body).toEqual({ runner_id: 'lnch_fake' })
})

test('while a duplicate is online it waits, and says so once', async () => {
  const server = await fakeServer()
  server.script('register', 409, 409, 409)
  const { events } = runnerOn(server)
  await server.call('claim')
  expect(server.of('register')).toHaveLength(4)
  const [first, ...others] = events
  expect(first?.message).toMatch(/another runner with the same hostname.*--profile/)
  expect(others.map((each) => each.event)).toEqual(['recovered', 'registered'])
})

test('ends when the server cannot make sense of what it says it is', async () => {
  const server = await fakeServer()
  server.script('register', 422)
  await expect(runnerOn(server).drained).rejects.toThrow('scripted 422')
})

test('a server that answers polls at once is not asked without pause', async () => {
  const server = await fakeServer()
  const nothing = { runs: [], stop_runs: [], stop_sessions: [], deregistered: false }
  server.script('claim', ...Array.from({ length: 1000 }, () => () => Response.json(nothing)))
  const began = performance.now()
  runnerOn(server)
  await server.call('claim', 4)
  expect(performance.now() - began).toBeGreaterThan(250)
})
