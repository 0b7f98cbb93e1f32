import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { BIN } from '../server/process.ts'
import { claimedRun, type FakeServer } from './fake-server.ts'
import { fakeServer, isAtWork, staying } from './harness.ts'

function runnerProcess(server: FakeServer, ...args: string[]) {
  const runner = execa(process.execPath, [BIN, 'runner', ...args], {
    env: { RUNQUEUE_URL: server.url },
    reject: false,
  })
  onTestFinished(() => {
    runner.kill('SIGKILL')
  })
  return runner
}

test('a signal drains it, and what happened is told on stderr', async () => {
  const server = await fakeServer()
  const runner = runnerProcess(server, '--slots', '1', '--tag', 'a', '--tag', 'b', '--', 'cat')
  expect((await server.call('register')).body).toMatchObject({
    executor_profile: 'default',
    executor: { type: 'shell', command: 'cat' },
    tags: ['a', 'b'],
    require_matching_tags: false,
  })
  const run = claimedRun({ prompt: 'two\nlines \u001b[31m' })
  await server.answerPoll({ runs: [run] })
  expect((await server.call('completed')).body.result.text).toBe(run.prompt)
  // Asked for once the slot is free again.
  await expect.poll(() => server.of('claim').at(-1)?.body.limit).toBe(1)
  runner.kill('SIGTERM')
  const { exitCode, stdout, stderr } = await runner
  expect(exitCode).toBe(0)
  expect(server.calls.at(-1)?.route).toBe('remove')
  expect(stdout).toBe('')
  expect(stderr.replace(/^\d\d:\d\d:\d\d /gm, '').replace(/\d+\.\d s/, '… s')).toBe(
    `registered as lnch_fake
claimed ${run.run_id} "two\\nlines \\u001b[31m"
completed ${run.run_id} after … s
leaving
the runner has ended`,
  )
})

test('a second signal kills the work and ends it at once', async () => {
  const server = await fakeServer()
  const command = staying(`signal('asked')`)
  const runner = runnerProcess(server, '--json', '--', ...command)
  const run = claimedRun()
  await server.answerPoll({ runs: [run] })
  const { id: pid } = await server.call('signal')
  expect(isAtWork(Number(pid))).toBe(true)
  runner.kill('SIGINT')
  expect((await server.call('claim', 3)).body.limit).toBe(0)
  runner.kill('SIGINT')
  const { exitCode, stdout } = await runner
  expect(exitCode).toBe(130)
  await expect.poll(() => isAtWork(Number(pid))).toBe(false)
  expect(server.of('stopped')).toHaveLength(0)
  const events = stdout.split('\n').map((line) => JSON.parse(line))
  expect(events.map((each) => each.event)).toEqual(['registered', 'claimed', 'draining'])
  expect(events[1]).toMatchObject({ run_id: run.run_id, time: expect.stringMatching(/Z$/) })
})

test('a command line that makes no sense is refused at once', async () => {
  const server = await fakeServer()
  const refusal = async (...args: string[]) => (await runnerProcess(server, ...args)).stderr
  const [missing, slots, program] = await Promise.all([
    refusal(),
    refusal('--slots', '0', '--', 'cat'),
    refusal('--', 'there-is-none'),
  ])
  expect(missing).toContain("missing required argument 'command'")
  expect(slots).toContain('whole number from 1 to 100')
  expect(program).toContain('there is no program "there-is-none" to execute in PATH')
  expect(server.calls).toEqual([])
})
