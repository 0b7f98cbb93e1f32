import { expect, test } from 'vitest'
import { claimedRun } from './fake-server.ts'
import { fakeServer, runnerOn } from './harness.ts'

const denied = (code: string, status: number) => () =>
  Response.json({ code, message: `said ${code}`, detail: code }, { status })

test('its token is sent with every call, and handed to the command', async () => {
  const server = await fakeServer()
  runnerOn(server, { token: 'rq_1', command: ['sh', '-c', 'echo "$RUNQUEUE_TOKEN"'] })
  await server.answerPoll({ runs: [claimedRun()] })
  expect((await server.call('completed')).body.result.text).toBe('rq_1\n')
  expect([...server.authorizations]).toEqual(['Bearer rq_1'])
})

test.each([
  ['register', 'token_required', 401],
  ['register', 'insufficient_scope', 403],
  ['register', 'runner_not_yours', 403],
  ['claim', 'invalid_token', 401],
  ['claim', 'runner_not_yours', 403],
  ['heartbeat', 'invalid_token', 401],
] as const)('%s refused with %s: it ends, and says why', async (route, code, status) => {
  const server = await fakeServer()
  server.heartbeat_interval_seconds = 0.05
  server.script(route, denied(code, status))
  await expect(runnerOn(server).drained).rejects.toMatchObject({ code, message: `said ${code}` })
  expect(server.of('register')).toHaveLength(1)
})

test('registers again where it is known, but not with its token', async () => {
  const server = await fakeServer()
  server.script('claim', denied('runner_not_registered', 401))
  runnerOn(server, { token: 'rq_1' })
  await server.call('register', 2)
  await server.call('claim', 2)
})
