import { expect, test } from 'vitest'
import type { RunExplanation, RunnerExplanation } from '../../src/client/index.ts'
import { cli, scriptedServer } from './harness.ts'

const MATCH: RunExplanation['runners'][number] = {
  runner_id: 'lnch_000000000001',
  hostname: 'build-7',
  state: 'online',
  last_heartbeat: '2026-01-31T11:59:48.000Z',
  deregistered_at: null,
  satisfies: false,
  conditions: [{ demand: 'tags', wanted: ['gpu'], offered: [], met: false }],
  holds: [],
  holds_left_out: 0,
  next_run_id: null,
  summary: 'tag gpu is missing',
}

const RUN: RunExplanation = {
  run_id: 'run_000000000001',
  status: 'pending',
  summary: 'Pending: 2 claimable runs come before it.',
  reasons: ['No runner online could take it: no registered runner has tag gpu.'],
  outlook: 'It fails at 12:05:00 UTC unless a runner claims it before.',
  demands: { tags: ['gpu'] },
  priority: 0,
  runner_id: null,
  available_at: null,
  timeout_at: '2026-01-31T12:05:00.000Z',
  ahead: { count: 2, at_least: false },
  matching_runners: { count: 0, at_least: false },
  runners: [MATCH, { ...MATCH, hostname: 'evil\u001b[2J', state: 'stale', satisfies: true }],
  runners_left_out: { count: 3, at_least: false },
}

const RUNNER: RunnerExplanation = {
  runner_id: 'lnch_000000000001',
  hostname: 'build-7',
  state: 'online',
  summary: 'Online, but it can take nothing of what is claimable.',
  reasons: ['It holds nothing.'],
  outlook: null,
  tags: [],
  require_matching_tags: false,
  last_heartbeat: '2026-01-31T11:59:48.000Z',
  deregistered_at: null,
  holds: [],
  holds_left_out: 0,
  next_run_id: null,
  next_available_at: null,
  unmet: [
    {
      demands: { tags: ['gpu'] },
      run_id: 'run_000000000001',
      priority: 5,
      conditions: MATCH.conditions,
      summary: 'tag gpu is missing',
    },
  ],
  unmet_left_out: { count: 990, at_least: true },
}

test('a run: how it stands, why, what time brings, and each runner', async () => {
  const server = scriptedServer({ explanation: RUN })
  const { code, stdout } = await cli(['explain', 'run_000000000001'], server)
  expect(code).toBe(0)
  expect(server.asked.map(({ path }) => path)).toEqual(['/runs/run_000000000001/explain'])
  expect(stdout).toBe(`run_000000000001  Pending: 2 claimable runs come before it.
- No runner online could take it: no registered runner has tag gpu.
- It fails at 12:05:00 UTC unless a runner claims it before.

RUNNER             HOST         STATUS  SEEN     OFFERS ALL  WHY
lnch_000000000001  build-7      online  12s ago  no          tag gpu is missing
lnch_000000000001  evil\\x1b[2J  stale   12s ago  yes         tag gpu is missing
and 3 more runners
`)
})

test('a runner: why it gets nothing, and the demands that it is nearest to', async () => {
  const server = scriptedServer({ explanation: RUNNER })
  const { stdout } = await cli(['explain', '--runner', 'lnch_000000000001'], server)
  expect(server.asked.map(({ path }) => path)).toEqual(['/runners/lnch_000000000001/explain'])
  expect(
    stdout,
  ).toBe(`lnch_000000000001 on build-7  Online, but it can take nothing of what is claimable.
- It holds nothing.

FIRST RUN         PRIORITY  WHY
run_000000000001  5         tag gpu is missing
and at least 990 more demands
`)
})

test('a run that needs no runner is a few lines', async () => {
  const reasons: string[] = []
  const done = { ...RUN, summary: 'Completed.', reasons, outlook: null, runners: [] }
  const { stdout } = await cli(['explain', 'run_1'], scriptedServer({ explanation: done }))
  expect(stdout).toBe('run_000000000001  Completed.\n')
})

test('--json prints the answer as it came', async () => {
  for (const [typed, explanation] of [
    [['run_1'], RUN],
    [['--runner', 'lnch_1'], RUNNER],
  ] as const) {
    const server = scriptedServer({ explanation })
    const { stdout } = await cli(['explain', ...typed, '--json'], server)
    expect(JSON.parse(stdout)).toEqual(explanation)
  }
})

test('just one is to be named', async () => {
  for (const typed of [[], ['run_1', '--runner', 'lnch_1']]) {
    const { code, stderr } = await cli(['explain', ...typed])
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('name one') })
  }
})
