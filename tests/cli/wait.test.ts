import { describe, expect, test, vi } from 'vitest'
import { aRun, aRunner, cli, drawn, refusal, scriptedServer } from './harness.ts'

const ID = 'run_000000000001'
const RUNNER = aRunner({ hostname: 'build-7' })
const running = aRun({
  status: 'running',
  runner_id: RUNNER.runner_id,
  started_at: '2026-01-31T11:59:57.000Z',
})
const ended = { started_at: running.started_at, completed_at: '2026-01-31T12:00:01.000Z' }
const completed = aRun({ ...ended, status: 'completed', result: { text: 'done', data: null } })
const failed = aRun({ ...ended, status: 'failed', error: 'exit code 2' })
const stopped = aRun({ ...ended, status: 'stopped' })

describe('the outcome', () => {
  test.each([
    [completed, 0, `${ID} completed in 4.0s\n`, 'done\n'],
    [failed, 1, `${ID} failed after 4.0s\nexit code 2\n`, ''],
    [stopped, 3, `${ID} stopped after 4.0s\n`, ''],
  ])('of a run that is $status', async (run, code, stderr, stdout) => {
    const answer = await cli(['wait', ID], scriptedServer({ looks: [run] }))
    expect(answer).toEqual({ code, stderr, stdout })
  })

  test('with --json is the whole run', async () => {
    const { code, stdout } = await cli(['wait', ID, '--json'], scriptedServer({ looks: [failed] }))
    expect({ code, run: JSON.parse(stdout) }).toEqual({ code: 1, run: failed })
  })

  test('is data as JSON where there is no text', async () => {
    const run = aRun({ ...ended, status: 'completed', result: { text: null, data: { n: 1 } } })
    const { stdout } = await cli(['wait', ID], scriptedServer({ looks: [run] }))
    expect(JSON.parse(stdout)).toEqual({ n: 1 })
  })

  test('reaches a file as it is, and a terminal without its control characters', async () => {
    const text = 'a\u001b[31mb\nc\u202e'
    const run = aRun({ ...ended, status: 'completed', result: { text, data: null } })
    const server = () => scriptedServer({ looks: [run] })
    expect((await cli(['wait', ID], server())).stdout).toBe(`${text}\n`)
    expect((await cli(['wait', ID], server(), { columns: 80 })).stdout).toBe(
      'a\\x1b[31mb\nc\\u202e\n',
    )
  })

  test('of an unknown run is a refusal', async () => {
    const answer = await cli(['wait', ID])
    expect(answer).toEqual({
      code: 5,
      stderr: 'error: Run not found (run_not_found)\n',
      stdout: '',
    })
  })
})

describe('while it waits', () => {
  test('a log gets a line per change', async () => {
    const claimed = aRun({ status: 'claimed', runner_id: RUNNER.runner_id })
    const server = scriptedServer({
      looks: [aRun(), aRun(), claimed, running, running, completed],
      runners: [RUNNER],
    })
    const { stderr } = await cli(['wait', ID], server)
    expect(stderr.split('\n')).toEqual([
      `${ID} pending`,
      `${ID} claimed by build-7`,
      `${ID} running on build-7`,
      `${ID} completed in 4.0s`,
      '',
    ])
  })

  test('a terminal gets one live line, gone at the end', async () => {
    const server = scriptedServer({ looks: [aRun(), running, completed], runners: [RUNNER] })
    const { stderr } = await cli(['wait', ID], server, { columns: 80 })
    expect(drawn(stderr)).toEqual([
      'pending for 5m',
      'running on build-7 for 3s',
      `${ID} completed in 4.0s`,
    ])
    expect(stderr.endsWith(`\r\u001b[2K${ID} completed in 4.0s\n`)).toBe(true)
  })

  test('the live line never wraps', async () => {
    const demands = { tags: ['a-tag-with-a-long-name-that-no-runner-has'] }
    const server = scriptedServer({ looks: [aRun({ demands }), completed], runners: [RUNNER] })
    const { stderr } = await cli(['wait', ID], server, { columns: 30 })
    expect(
      Math.max(
        ...drawn(stderr)
          .slice(0, -1)
          .map((line) => line.length),
      ),
    ).toBe(29)
  })

  test('it says why nobody takes the run', async () => {
    const looks = [aRun({ demands: { tags: ['gpu'] } }), completed]
    const { stderr } = await cli(['wait', ID], scriptedServer({ looks, runners: [RUNNER] }))
    expect(stderr).toContain(`${ID} pending: no registered runner has tag gpu\n`)
  })

  test('another attempt is shown as one', async () => {
    const looks = [aRun({ attempt: 1, max_attempts: 3 }), completed]
    const { stderr } = await cli(['wait', ID], scriptedServer({ looks, runners: [RUNNER] }))
    expect(stderr).toContain(`${ID} pending again after attempt 1 of 3\n`)
  })

  test('what came and went between two looks is told at the end', async () => {
    const looks = [aRun(), { ...completed, attempt: 3, max_attempts: 3 }]
    const { stderr } = await cli(['wait', ID], scriptedServer({ looks, runners: [RUNNER] }))
    expect(stderr).toMatch(/completed.*, with attempt 3 of 3\n$/)
  })

  test('a run that is running is asked about rarely, one that waits often', async () => {
    const server = scriptedServer({ looks: [aRun(), aRun(), running, completed] })
    await cli(['wait', ID], server)
    const waits = server.asked.filter((each) => each.path === `/runs/${ID}`)
    expect(waits.map((each) => each.query['wait'])).toEqual([undefined, '2', '2', '20'])
  })
})

describe('a lost connection', () => {
  const lost = new TypeError('fetch failed', {
    cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
  })
  const busy = Response.json({ code: 'database_busy', message: 'busy' }, { status: 503 })

  test('is outlasted while waiting', async () => {
    const server = scriptedServer({ looks: [running, lost, busy, completed], runners: [RUNNER] })
    const { code, stdout, stderr } = await cli(['wait', ID], server)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'done\n' })
    expect(stderr).toContain('the connection was refused, nothing listens there; trying again\n')
    expect(stderr).toContain('busy; trying again\n')
  })

  test('ends the wait with exit code 4 when it was never there', async () => {
    const { code, stdout, stderr } = await cli(['wait', ID], scriptedServer({ looks: [lost] }))
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr).toContain('cannot reach runqueue at http://127.0.0.1:8765')
  })

  test('does not outlast --timeout', async () => {
    const server = scriptedServer({ looks: [running, lost] })
    const { code, stderr } = await cli(['wait', ID, '--timeout', '0.6'], server)
    expect(code).toBe(6)
    expect(stderr).toMatch(/is still running\n$/)
  })

  test('of five minutes is the end', async () => {
    let clock = 0
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => {
      clock += 200_000
      return clock
    })
    try {
      const { code } = await cli(['wait', ID], scriptedServer({ looks: [running, lost] }))
      expect(code).toBe(4)
    } finally {
      spy.mockRestore()
    }
  })

  test('is told from a refusal, which ends the wait', async () => {
    const gone = Response.json(refusal, { status: 404 })
    const { code } = await cli(['wait', ID], scriptedServer({ looks: [running, gone] }))
    expect(code).toBe(5)
  })
})

describe('the end of patience', () => {
  test('--timeout leaves the run alone and exits with 6', async () => {
    const server = scriptedServer({ looks: [running] })
    const { code, stdout, stderr } = await cli(['wait', ID, '--timeout', '0.1'], server)
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' })
    expect(stderr).toMatch(/^run_000000000001 is still running\n$/m)
    expect(server.asked.every((each) => each.method === 'GET')).toBe(true)
  })

  test('Ctrl-C ends the wait at once with 130 and says how to go on', async () => {
    const server = scriptedServer({ looks: [running] })
    const { code, stderr } = await cli(['wait', ID], server, {
      onStderr: (_, interrupt) => interrupt(),
    })
    expect(code).toBe(130)
    expect(stderr).toContain(`\`runqueue wait ${ID}\` follows it again`)
  })
})

test('stop --wait succeeds once the run has ended', async () => {
  const server = scriptedServer({ looks: [aRun({ status: 'stopping' }), stopped] })
  const { code, stderr } = await cli(['stop', ID, '--wait'], server)
  expect(code).toBe(0)
  expect(stderr).toContain(`${ID} stopped after 4.0s\n`)
})
