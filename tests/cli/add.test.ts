import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { aRun, cli, scriptedServer } from './harness.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runqueue-cli-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** What is sent when this is typed. */
async function sent(args: string[], stdin = ''): Promise<unknown> {
  const server = scriptedServer()
  const { code, stderr } = await cli(['add', ...args], server, { stdin })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(server.asked).toHaveLength(1)
  return server.asked[0]?.body
}

/** What is said instead of sending anything. */
async function refused(args: string[], stdin: string | Uint8Array = ''): Promise<string> {
  const server = scriptedServer()
  const { code, stdout, stderr } = await cli(['add', ...args], server, { stdin })
  expect({ code, stdout, asked: server.asked }).toEqual({ code: 2, stdout: '', asked: [] })
  return stderr
}

test('a prompt alone starts a session; the id of the run is all that is printed', async () => {
  expect(await sent(['hello'])).toEqual({ type: 'start_session', prompt: 'hello' })
  expect((await cli(['add', 'hello'])).stdout).toBe('run_000000000001\n')
})

test('--json prints the answer as it came', async () => {
  const { stdout } = await cli(['add', 'hello', '--json'])
  expect(JSON.parse(stdout)).toEqual({
    run_id: 'run_000000000001',
    session_id: 'ses_000000000001',
    status: 'pending',
    matching_runners: 1,
  })
})

test('where nobody could take the run that is said on stderr', async () => {
  const said = 'no runner can take it now: see `runqueue explain run_000000000001`\n'
  for (const typed of [
    ['add', 'hello'],
    ['retry', 'run_9'],
  ]) {
    const server = scriptedServer({ matching_runners: 0 })
    expect(await cli(typed, server)).toEqual({
      code: 0,
      stdout: 'run_000000000001\n',
      stderr: said,
    })
  }
  const { stderr } = await cli(['add', 'hello', '--json'], scriptedServer({ matching_runners: 0 }))
  expect(stderr).toBe('')
})

test('every option arrives under its name', async () => {
  const typed = [
    'hello',
    ...['--agent', 'writer', '--project-dir', '/srv/a', '--parent', 'ses_p'],
    ...['--new-session', 'ses_n', '--execution-mode', 'async_callback', '--scope', '{"user":1}'],
    ...['--tag', 'gpu', '-t', 'eu', '--demand', 'hostname=h', '-d', 'executor_type=shell'],
    ...['--priority', '-5', '--timeout', '0.5', '--max-attempts', '3', '--idempotency-key', 'k'],
    ...['--retry-delay', '2.5', '--on-lost', 'requeue', '--delay', '60'],
    '--reject-if-unmatchable',
  ]
  expect(await sent(typed)).toEqual({
    type: 'start_session',
    prompt: 'hello',
    agent_name: 'writer',
    project_dir: '/srv/a',
    parent_session_id: 'ses_p',
    session_id: 'ses_n',
    execution_mode: 'async_callback',
    scope: { user: 1 },
    additional_demands: { hostname: 'h', executor_type: 'shell', tags: ['gpu', 'eu'] },
    priority: -5,
    timeout_seconds: 0.5,
    max_attempts: 3,
    retry_delay_seconds: 2.5,
    on_lost: 'requeue',
    delay_seconds: 60,
    idempotency_key: 'k',
    reject_if_unmatchable: true,
  })
})

test('--at takes a time in any zone', async () => {
  expect(await sent(['hello', '--at', '2026-02-01T08:00:00+01:00'])).toMatchObject({
    available_at: '2026-02-01T07:00:00.000Z',
  })
})

test('--session resumes', async () => {
  expect(await sent(['go on', '--session', 'ses_1'])).toEqual({
    type: 'resume_session',
    session_id: 'ses_1',
    prompt: 'go on',
  })
})

test('parameters are JSON where they parse and text elsewhere; the prompt joins them', async () => {
  const typed = ['--parameters', '{"a":1,"b":2}', '--param', 'b=[3]', '--param', 'c=x=y', 'hello']
  expect(await sent(typed)).toEqual({
    type: 'start_session',
    parameters: { a: 1, b: [3], c: 'x=y', prompt: 'hello' },
  })
  expect(await sent(['--param', 'prompt=hello'])).toMatchObject({
    parameters: { prompt: 'hello' },
  })
})

test('the prompt comes from standard input or a file, without the last line break', async () => {
  expect(await sent(['-'], 'größer\nzwei\n')).toMatchObject({ prompt: 'größer\nzwei' })
  const file = join(folder, 'task.md')
  await writeFile(file, 'from a file\r\n')
  expect(await sent(['--file', file])).toMatchObject({ prompt: 'from a file' })
})

test('a prompt that is missing, empty, double or no text is refused', async () => {
  expect(await refused([])).toContain('say what to do')
  expect(await refused(['-'], '\n')).toContain('the prompt is empty')
  expect(await refused(['a', '--file', 'b'])).toContain('given twice')
  expect(await refused(['a', '--param', 'prompt=b'])).toContain('given twice')
  expect(await refused(['--file', join(folder, 'missing')])).toMatch(/cannot read .*missing/)
  expect(await refused(['-'], new Uint8Array([0xff]))).toContain('not UTF-8')
  expect(await refused(['-'], new Uint8Array(8 * 1024 * 1024 + 1))).toContain('more than 8 MiB')
})

test.each([
  [['--priority', '1.5'], 'a whole number from -1000000 to 1000000'],
  [['--max-attempts', '0'], 'a whole number from 1 to'],
  [['--timeout', 'soon'], 'seconds, from 0.001 to 31536000'],
  [['--timeout', '0'], 'seconds, from 0.001 to 31536000'],
  [['--demand', 'os=linux'], 'one of hostname, project_dir, executor_type, executor_profile'],
  [['--demand', 'hostname='], 'PROPERTY=VALUE'],
  [['--demand', 'hostname=a', '--demand', 'hostname=b'], 'hostname is a already'],
  [['--retry-delay', '86401'], 'seconds, from 0 to 86400'],
  [['--on-lost', 'retry'], 'fail, requeue'],
  [['--delay', '-1'], 'seconds, from 0 to'],
  [['--at', '2026-02-01T08:00:00'], 'an ISO time with its zone'],
  [['--at', '2026-02-01T08:00:00Z', '--delay', '5'], 'cannot be used with'],
  [['--param', 'alone'], 'KEY=VALUE'],
  [['--parameters', '[1]'], 'a JSON object'],
  [['--scope', '{'], 'a JSON object'],
  [['--execution-mode', 'later'], 'sync, async_poll, async_callback'],
  [['--session', 'a', '--new-session', 'b'], 'cannot be used with'],
])('%j is refused with what would be allowed', async (typed, words) => {
  expect(await refused(['hello', ...typed])).toContain(words)
})

test('--wait prints the result alone on stdout and exits with the outcome', async () => {
  const done = aRun({ status: 'completed', result: { text: 'forty-two', data: null } })
  const server = scriptedServer({ looks: [aRun(), done] })
  const { code, stdout, stderr } = await cli(['add', 'hello', '--wait'], server)
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'forty-two\n' })
  expect(stderr).toContain('run_000000000001 added, session ses_000000000001\n')
})
