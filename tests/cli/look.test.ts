import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import type { RunEvent } from '../../src/queue/run-event.ts'
import { aRun, aRunner, cli, refusal, scriptedServer } from './harness.ts'

const SOME = [
  aRun({ run_id: 'run_2', status: 'running', prompt: 'first line\n\n  second line' }),
  aRun({ run_id: 'run_1', status: 'failed', agent_name: 'writer', prompt: 'x'.repeat(300) }),
]

test('list: aligned columns, one line per run', async () => {
  const { code, stdout } = await cli(['list'], scriptedServer({ runs: SOME }))
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    'RUN    STATUS   CREATED  SESSION           AGENT   PROMPT',
    'run_2  running  5m ago   ses_000000000001  -       first line second line',
    `run_1  failed   5m ago   ses_000000000001  writer  ${'x'.repeat(199)}…`,
    '',
  ])
})

test('list: no line is wider than the terminal, colours or not', async () => {
  const server = () => scriptedServer({ runs: SOME })
  const { stdout } = await cli(['list'], server(), { columns: 70 })
  expect(stdout.split('\n').map((line) => line.length)).toEqual([57, 70, 70, 0])
  const colored = await cli(['list'], server(), { columns: 70, color: true })
  expect(colored.stdout).toContain('\u001b[36mrunning\u001b[39m')
  expect(stripVTControlCharacters(colored.stdout)).toBe(stdout)
})

test('list: wide and joining characters do not push columns aside', async () => {
  const agents = ['翻訳者', 'cafe\u0301', '🚀', 'abcdef']
  const runs = agents.map((agent_name) => aRun({ agent_name }))
  const { stdout } = await cli(['list'], scriptedServer({ runs }))
  const tails = stdout
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split('ses_000000000001  ')[1])
  expect(tails).toEqual(['翻訳者  hello', 'cafe\u0301    hello', '🚀      hello', 'abcdef  hello'])
})

test('list: stored text cannot steer the terminal, but --json has it as it is', async () => {
  const prompt = 'a\u001b]0;title\u0007\u009b2J\u202eb'
  const runs = [aRun({ prompt })]
  const { stdout } = await cli(['list'], scriptedServer({ runs }), { columns: 200 })
  expect(stdout).toContain('a\\x1b]0;title\\x07\\x9b2J\\u202eb')
  expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u)
  const answer = await cli(['list', '--json'], scriptedServer({ runs }), { columns: 200 })
  expect(JSON.parse(answer.stdout).runs[0].prompt).toBe(prompt)
})

test('list: filters are asked for, the newest twenty without any', async () => {
  const server = scriptedServer()
  await cli(
    ['list', '-s', 'pending,running', '-s', 'failed', '--session', 's', '--runner', 'r'],
    server,
  )
  expect(server.asked[0]?.query).toEqual({
    status: 'pending,running,failed',
    session_id: 's',
    runner_id: 'r',
    limit: '20',
  })
})

test('list: unknown statuses and limits out of bounds are refused', async () => {
  expect((await cli(['list', '--status', 'done'])).stderr).toContain('pending, claimed, running')
  expect((await cli(['list', '--limit', '1001'])).stderr).toContain('from 1 to 1000')
})

test('list --all: pages through, up to ten thousand', async () => {
  const runs = Array.from({ length: 10_500 }, (_, index) => aRun({ run_id: `run_${index}` }))
  const some = scriptedServer({ runs: runs.slice(0, 2_500) })
  const all = JSON.parse((await cli(['list', '--all', '--json'], some)).stdout)
  expect([all.runs.length, all.next_cursor, some.asked.length]).toEqual([2_500, null, 3])
  const many = await cli(['list', '--all'], scriptedServer({ runs }))
  expect(many.stdout.trimEnd().split('\n')).toHaveLength(10_001)
  expect(many.stderr).toContain('there are more than --all shows')
})

test('list: nothing is said on stderr, so that stdout stays empty', async () => {
  expect(await cli(['list'])).toEqual({ code: 0, stdout: '', stderr: 'no runs\n' })
})

test('show: every fact that is known, times absolute and relative', async () => {
  const run = aRun({
    status: 'failed',
    demands: { hostname: 'build-7', tags: ['eu', 'gpu'] },
    runner_id: 'lnch_000000000001',
    parameters: { prompt: 'line one\nline two', depth: 3 },
    prompt: 'line one\nline two',
    error: 'exit code 2\u001b[2J',
    attempt: 1,
    started_at: '2026-01-31T11:56:00.000Z',
    completed_at: '2026-01-31T11:58:05.000Z',
  })
  const { stdout } = await cli(
    ['show', 'run_1'],
    scriptedServer({ looks: [run], runners: [aRunner()] }),
  )
  expect(stdout).toBe(`Run       run_000000000001
Status    failed after 2m 5s
Type      start_session
Session   ses_000000000001
Mode      sync
Demands   hostname=build-7, tag eu, tag gpu
Runner    lnch_000000000001 on build-7
Priority  0
Attempt   1 of 1
Created   2026-01-31 11:55:00 UTC (5m ago)
Started   2026-01-31 11:56:00 UTC (4m ago)
Ended     2026-01-31 11:58:05 UTC (1m ago)

Prompt
  line one
  line two

Parameters
  {
    "depth": 3
  }

Error
  exit code 2\\x1b[2J
`)
})

const anEvent = (facts: Partial<RunEvent>): RunEvent => ({
  ...{ event_id: 1, run_id: 'run_1', at: '2026-01-31T11:55:00.000Z', from_status: 'pending' },
  ...{ to_status: 'pending', cause: null, changed_by: null, runner_id: null, attempt: 1 },
  ...{ detail: null, ...facts },
})

test('show: what happened to a run when, in words', async () => {
  const by = { runner_id: 'lnch_000000000001', changed_by: 'runner' }
  const events = [
    anEvent({ from_status: null, cause: 'added', changed_by: 'client:night\u001bly' }),
    anEvent({ ...by, to_status: 'claimed', cause: 'claimed', at: '2026-01-31T11:55:00.250Z' }),
    anEvent({ ...by, to_status: 'running', cause: 'started', at: '2026-01-31T11:55:02.250Z' }),
    anEvent({ ...by, cause: 'attempt_failed', detail: 'boom', at: '2026-01-31T11:57:07.250Z' }),
    anEvent({ to_status: 'stopped', cause: 'cancelled', changed_by: 'client' }),
    anEvent({ to_status: 'failed', runner_id: 'lnch_gone' }),
  ]
  const server = scriptedServer({ looks: [aRun()], runners: [aRunner()], events })
  const { stdout } = await cli(['show', 'run_1'], server)
  expect(stdout.slice(stdout.indexOf('History'))).toBe(`History
  2026-01-31 11:55:00 UTC            pending    added by client night\\x1bly
  2026-01-31 11:55:00 UTC  +0.3s     claimed    attempt 1, claimed by build-7
  2026-01-31 11:55:02 UTC  +2.0s     running    started on build-7
  2026-01-31 11:57:07 UTC  +2m 5s    pending    attempt 1 failed, and will be repeated: boom
  2026-01-31 11:55:00 UTC  +0.0s     stopped    stopped by a client before anybody took it
  2026-01-31 11:55:00 UTC  +0.0s     failed     changed by hand, by plain SQL
`)
  const { stdout: json } = await cli(['show', 'run_1', '--json'], server)
  expect(JSON.parse(json)).toEqual({ ...aRun(), events })
})

test('show: a run that was inserted says so', async () => {
  const events = [anEvent({ from_status: null })]
  const { stdout } = await cli(['show', 'run_1'], scriptedServer({ looks: [aRun()], events }))
  expect(stdout).toMatch(/ pending +added by plain SQL\n$/)
})

test('show: a pending run says what it waits for', async () => {
  const looks = [aRun({ demands: { tags: ['gpu'] }, timeout_at: '2026-01-31T12:05:00.000Z' })]
  const { stdout } = await cli(['show', 'run_1'], scriptedServer({ looks, runners: [aRunner()] }))
  expect(stdout).toMatch(/^Waits +no registered runner has tag gpu$/m)
  expect(stdout).toMatch(/^Times out +2026-01-31 12:05:00 UTC \(in 5m\)$/m)
})

test('a run that waits for its time: list and show say when that comes', async () => {
  const today = aRun({ available_at: '2026-01-31T14:02:10.500Z' })
  const later = aRun({ available_at: '2026-02-01T14:02:10.500Z', max_attempts: 3 })
  const { stdout } = await cli(['list'], scriptedServer({ runs: [today, later] }))
  expect(stdout).toContain(' pending, available at 14:02:10 UTC ')
  expect(stdout).toContain(' pending, available at 2026-02-01 14:02:10 UTC ')
  const looks = [{ ...later, retry_delay_seconds: 2.5, on_lost: 'requeue' as const }]
  const shown = (await cli(['show', 'run_1'], scriptedServer({ looks }))).stdout
  expect(shown).toMatch(/^Status +pending, available at 2026-02-01 14:02:10 UTC$/m)
  expect(shown).toMatch(/^Retry delay +2.5s$/m)
  expect(shown).toMatch(/^On lost +requeue$/m)
  expect(shown).toMatch(/^Available +2026-02-01 14:02:10 UTC \(in 1d\)$/m)
})

test('runners: what each offers and when it was last seen', async () => {
  const runners = [
    aRunner({ executor_profile: 'coder', tags: ['eu', 'gpu'], require_matching_tags: true }),
    aRunner({ hostname: 'old-1', status: 'stale', last_heartbeat: '2026-01-31T11:50:00.000Z' }),
  ]
  const { stdout } = await cli(['runners'], scriptedServer({ runners }))
  expect(stdout).toBe(`RUNNER             STATUS  SEEN     HOST     EXECUTOR  TAGS         DIRECTORY
lnch_000000000001  online  12s ago  build-7  coder     only eu,gpu  /srv/project
lnch_000000000001  stale   10m ago  old-1    shell     -            /srv/project
`)
})

test('of more runners than are listed nothing is said that another may belie', async () => {
  const runners = Array.from({ length: 1000 }, () => aRunner())
  const looks = [aRun({ demands: { tags: ['gpu'] } })]
  expect((await cli(['show', 'run_1'], scriptedServer({ looks, runners }))).stdout).not.toContain(
    'no registered runner',
  )
  const { stderr } = await cli(['runners'], scriptedServer({ runners }))
  expect(stderr).toBe('no more than the first 1000 are listed\n')
})

test('retry prints the new id, stop what became of the run', async () => {
  expect((await cli(['retry', 'run_9'])).stdout).toBe('run_000000000001\n')
  expect((await cli(['stop', 'run_9'])).stdout).toBe('run_9 stopping\n')
  expect((await cli(['sessions'])).stderr).toBe('no sessions\n')
})

test('a refusal is printed with its code, harmless, and exits with 5', async () => {
  const message = 'no \u001b[31m'
  const looks = [Response.json({ ...refusal, message, detail: message }, { status: 409 })]
  const answer = await cli(['show', 'run_9'], scriptedServer({ looks }))
  expect(answer).toEqual({ code: 5, stdout: '', stderr: 'error: no \\x1b[31m (run_not_found)\n' })
})
