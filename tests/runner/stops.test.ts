import { expect, test } from 'vitest'
import { claimedRun } from './fake-server.ts'
import { fakeServer, harness, runnerOn, script, staying } from './harness.ts'

test('a stop of a run ends its command', async () => {
  const { server, events } = await harness({ command: staying() })
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  await server.call('signal')
  await server.answerPoll({ stop_runs: [run.run_id], stop_sessions: [run.session_id] })
  expect(await server.call('stopped')).toEqual({
    id: run.run_id,
    body: { runner_id: 'lnch_fake', claim_token: run.claim_token, signal: 'SIGTERM' },
  })
  expect(server.of('session_status')).toHaveLength(0)
  expect(events.filter((each) => each.event === 'stopping')).toHaveLength(1)
})

test('a stop of a session ends the command of its run', async () => {
  const { server } = await harness({ command: staying() })
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  await server.call('signal')
  await server.answerPoll({ stop_sessions: [run.session_id] })
  expect((await server.call('stopped')).id).toBe(run.run_id)
})

test('a command that ignores SIGTERM is killed after the grace period', async () => {
  const { server } = await harness({
    command: staying(`signal('asked')`),
    grace_seconds: 0.2,
  })
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  await server.call('signal')
  await server.answerPoll({ stop_runs: [run.run_id] })
  expect((await server.call('stopped')).body.signal).toBe('SIGKILL')
  expect(server.of('signal').map((each) => each.id)).toEqual([expect.anything(), 'asked'])
})

test('a run that is stopped before its start was taken is not carried out', async () => {
  const server = await fakeServer()
  const { events } = runnerOn(server, { command: script(`signal('carried-out')`) })
  const run = claimedRun()
  server.script('started', async () => {
    await server.answerPoll({ stop_runs: [run.run_id] })
    await expect.poll(() => events.map((each) => each.event)).toContain('stopping')
    return Response.json({ ok: true })
  })
  await server.answerPoll({ runs: [run] })
  expect((await server.call('stopped')).body).toMatchObject({ claim_token: run.claim_token })
  expect(server.of('signal')).toHaveLength(0)
})

test('what it does not have, it reports stopped', async () => {
  const { server } = await harness()
  await server.answerPoll({ stop_runs: ['run_gone'], stop_sessions: ['ses_gone'] })
  expect(await server.call('stopped')).toEqual({
    id: 'run_gone',
    body: { runner_id: 'lnch_fake' },
  })
  expect(await server.call('session_status')).toEqual({
    id: 'ses_gone',
    body: { runner_id: 'lnch_fake', status: 'stopped' },
  })
})

test('told to stop the same thing while it reports that, it reports once', async () => {
  const server = await fakeServer()
  const { events } = runnerOn(server)
  server.script('stopped', async () => {
    await server.answerPoll({ stop_runs: ['run_gone'] })
    await server.call('claim', 3)
    return Response.json({ ok: true })
  })
  await server.answerPoll({ stop_runs: ['run_gone'] })
  await server.call('stopped')
  await server.answerPoll({ stop_sessions: ['ses_gone'] })
  await server.call('session_status')
  expect(server.of('stopped')).toHaveLength(1)
  expect(events.filter((each) => each.event === 'report_refused')).toHaveLength(0)
})
