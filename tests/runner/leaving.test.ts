import { expect, test } from 'vitest'
import { claimedRun, FakeServer } from './fake-server.ts'
import { fakeServer, harness, isAtWork, runnerOn, script, staying } from './harness.ts'

test('without work it says goodbye and ends', async () => {
  const { server, drain, drained } = await harness()
  await server.call('claim')
  drain()
  await drained
  expect(server.of('remove')).toEqual([{ id: 'lnch_fake', body: null }])
})

test('a goodbye that nobody takes does not keep it', async () => {
  const { server, events, drain, drained } = await harness()
  server.script('remove', 503, 404)
  await server.call('claim')
  drain()
  await drained
  expect(server.of('remove')).toHaveLength(2)
  expect(events.map((each) => each.event).slice(-2)).toEqual(['report_undelivered', 'ended'])
})

test('lets work finish, takes nothing new, and still hears of stops', async () => {
  const { server, drain, drained } = await harness({ slots: 2, command: staying() })
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  await server.call('signal')
  await server.call('claim', 2)
  drain()
  expect((await server.call('claim', 3)).body.limit).toBe(0)
  await server.answerPoll({ stop_runs: [run.run_id] })
  await drained
  const routes = server.calls
    .map((each) => each.route)
    .filter((route) => route !== 'claim' && route !== 'settle')
  expect(routes).toEqual(['register', 'started', 'signal', 'stopped', 'remove'])
})

test('work that finishes in time is reported complete', async () => {
  const server = await fakeServer()
  // The command ends once this is answered.
  server.script('signal', async () => {
    drain()
    await server.call('claim', 3)
    return Response.json({ ok: true })
  })
  const { drain, drained } = runnerOn(server, {
    command: script(`signal('ready').then(() => console.log('done'))`),
  })
  await server.answerPoll({ runs: [claimedRun()] })
  await drained
  expect(server.of('completed')[0]?.body.result.text).toBe('done\n')
  expect(server.calls.at(-1)?.route).toBe('remove')
})

test('work that takes too long is stopped', async () => {
  const { server, drain, drained } = await harness({ command: staying(), drain_seconds: 0.05 })
  await server.answerPoll({ runs: [claimedRun()] })
  await server.call('signal')
  drain()
  await drained
  expect(server.of('stopped')[0]?.body.signal).toBe('SIGTERM')
  expect(server.calls.at(-1)?.route).toBe('remove')
})

test('before it was ever registered it just ends', async () => {
  const server = new FakeServer()
  await server.listen()
  await server.close()
  const { events, drain, drained } = runnerOn(server)
  await expect.poll(() => events.map((each) => each.event)).toEqual(['retrying'])
  drain()
  await drained
  expect(events.map((each) => each.event)).toEqual(['retrying', 'draining', 'ended'])
})

test('deregistered, it stops its work, reports that, and ends without another word', async () => {
  const { server, events, drained } = await harness({ command: staying() })
  await server.answerPoll({ runs: [claimedRun()] })
  await server.call('signal')
  await server.answerPoll({ deregistered: true })
  await drained
  expect(server.of('stopped')).toHaveLength(1)
  expect(server.of('register')).toHaveLength(1)
  expect(server.of('remove')).toHaveLength(0)
  expect(events.map((each) => each.event)).toContain('deregistered')
})

test('unknown to the server while leaving, it does not come back', async () => {
  const { server, drain, drained } = await harness({ command: staying(), drain_seconds: 0.1 })
  await server.answerPoll({ runs: [claimedRun()] })
  await server.call('signal')
  await server.call('claim', 2)
  server.script('claim', 401)
  server.script('stopped', 401)
  drain()
  await drained
  expect(server.of('register')).toHaveLength(1)
  expect(server.of('remove')).toHaveLength(0)
})

test('killed, it ends at once and reports nothing', async () => {
  const { server, kill, drained } = await harness({
    command: staying(`signal('asked')`),
  })
  await server.answerPoll({ runs: [claimedRun()] })
  const { id: pid } = await server.call('signal')
  expect(isAtWork(Number(pid))).toBe(true)
  kill()
  await drained
  await expect.poll(() => isAtWork(Number(pid))).toBe(false)
  const routes = server.calls.map((each) => each.route)
  expect(routes).not.toContain('stopped')
  expect(routes).not.toContain('failed')
  expect(routes).not.toContain('remove')
  expect(server.of('signal')).toHaveLength(1)
})
