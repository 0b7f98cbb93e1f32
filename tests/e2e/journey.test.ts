/** A run travels end to end, through the built program. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { RunView } from '../../src/client/index.ts'
import { tempDir } from '../support/temp-dir.ts'
import { World } from './program.ts'

let world: World

beforeEach(async () => {
  world = new World(tempDir(), {
    RUN_NO_MATCH_TIMEOUT: '1',
    RUN_SWEEP_INTERVAL: '0.2',
    LOG_LEVEL: 'warn',
  })
  await world.startServer()
})
afterEach(() => world.close())

/** Runs its prompt as a shell script. */
const SHELL = ['sh', '-c', 'sh -s']

const added = async (args: string[]): Promise<string> => {
  const { stdout, code, stderr } = await world.cli(['add', ...args])
  expect(code, stderr).toBe(0)
  return stdout.trim()
}
const show = (runId: string) => world.json<RunView>(['show', runId])

/** The process that wrote its id there is running. */
function isAlive(pidFile: string): boolean {
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 0)
    return true
  } catch {
    return false
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await holds()) return
    await delay(25)
  }
  throw new Error(`it never came that ${what}`)
}

test('a runner that was killed and starts again: what it held is settled', async () => {
  const brief = new World(tempDir(), {
    RUNNER_HEARTBEAT_INTERVAL: '0.2',
    RUNNER_STALE_THRESHOLD: '1',
    LOG_LEVEL: 'warn',
  })
  onTestFinished(() => brief.close())
  await brief.startServer()
  const first = await brief.startRunner([], SHELL)
  const gate = join(brief.folder, 'gate')
  const { stdout } = await brief.cli(['add', `until [ -e ${gate} ]; do sleep 0.05; done`])
  const ofRun = () => brief.json<RunView>(['show', stdout.trim()])
  await until('it runs', async () => (await ofRun()).status === 'running')
  await first.end('SIGKILL')
  await brief.startRunner([], SHELL)
  expect(await ofRun()).toMatchObject({
    status: 'failed',
    error: 'Runner disconnected during execution',
  })
  expect((await brief.cli(['add', 'echo next', '--wait'])).stdout).toBe('next\n')
  writeFileSync(gate, '')
})

describe('one runner', () => {
  test('a command succeeds, and what it prints is the result', async () => {
    await world.startRunner([], SHELL)
    const { code, stdout } = await world.cli(['add', 'echo hello; echo world', '--wait'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'hello\nworld\n' })
  })

  test('the prompt may come from stdin and from a file, parameters and ids from the environment', async () => {
    await world.startRunner([], SHELL)
    const fromStdin = await world.cli(['add', '-', '--wait'], 'echo from stdin')
    expect(fromStdin.stdout).toBe('from stdin\n')
    const file = join(world.folder, 'task.sh')
    writeFileSync(
      file,
      `echo "$RUNQUEUE_PARAMETERS" | grep -o '"answer":42'; echo $RUNQUEUE_RUN_ID`,
    )
    const fromFile = await world.cli(['add', '--file', file, '--param', 'answer=42', '--wait'])
    expect(fromFile.stdout).toMatch(/^"answer":42\nrun_[0-9a-f]{12}\n$/)
  })

  test('a command that exits 3 fails the run, which says so', async () => {
    await world.startRunner([], SHELL)
    const { code, stderr } = await world.cli(['add', 'echo oh no >&2; exit 3', '--wait'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/exited with code 3/)
    expect(stderr).toContain('oh no')
  })

  test('a long command is stopped within seconds, and its process is gone', async () => {
    await world.startRunner([], SHELL)
    const pidFile = join(world.folder, 'pid')
    const runId = await added([`echo $$ > ${pidFile}; sleep 300`])
    await until('it runs', () => existsSync(pidFile) && isAlive(pidFile))
    const since = performance.now()
    expect((await world.cli(['stop', runId, '--wait'])).code).toBe(0)
    expect(performance.now() - since).toBeLessThan(10_000)
    expect((await show(runId)).status).toBe('stopped')
    expect(isAlive(pidFile)).toBe(false)
    expect((await world.cli(['wait', runId])).code).toBe(3)
  })

  test('a run added while nobody polls is claimed when a runner appears', async () => {
    const runId = await added(['echo late'])
    expect((await show(runId)).status).toBe('pending')
    await world.startRunner([], SHELL)
    expect((await world.cli(['wait', runId, '--timeout', '20'])).stdout).toBe('late\n')
  })

  test('oldest first within a priority', async () => {
    const log = join(world.folder, 'order')
    const say = (word: string) => `echo ${word} >> ${log}`
    for (const word of ['one', 'two']) await added([say(word)])
    await added([say('urgent'), '--priority', '5'])
    const last = await added([say('three')])
    await world.startRunner([], SHELL)
    await world.cli(['wait', last, '--timeout', '20'])
    expect(readFileSync(log, 'utf8')).toBe('urgent\none\ntwo\nthree\n')
  })

  test('killed while a run executes and started again, the server has the run complete once', async () => {
    await world.startRunner([], SHELL)
    const marks = join(world.folder, 'marks')
    const gate = join(world.folder, 'gate')
    const runId = await added([
      `echo ran >> ${marks}; until [ -e ${gate} ]; do sleep 0.05; done; echo survived`,
    ])
    await until('it runs', () => existsSync(marks))
    await world.endServer('SIGKILL')
    // It ends while no server is there to hear it.
    writeFileSync(gate, '')
    await world.startServer()
    const { code, stdout } = await world.cli(['wait', runId, '--timeout', '30'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'survived\n' })
    expect(readFileSync(marks, 'utf8')).toBe('ran\n')
    expect(await show(runId)).toMatchObject({ status: 'completed', attempt: 1 })
  })
})

describe('two runners with different tags', () => {
  beforeEach(async () => {
    const command = (name: string) => ['sh', '-c', `cat > /dev/null; echo ${name}`]
    await world.startRunner(['--tag', 'gpu'], command('gpu-runner'))
    await world.startRunner(['--tag', 'arm', '--require-matching-tags'], command('arm-runner'))
  })

  test('each run reaches the runner that has what it demands', async () => {
    expect((await world.cli(['add', 'x', '--tag', 'arm', '--wait'])).stdout).toBe('arm-runner\n')
    expect((await world.cli(['add', 'x', '--tag', 'gpu', '--wait'])).stdout).toBe('gpu-runner\n')
    // The other one takes only runs that demand its tag.
    expect((await world.cli(['add', 'x', '--wait'])).stdout).toBe('gpu-runner\n')
  })

  test('a tag that nobody has: the run fails when its time is up', async () => {
    const { code, stderr } = await world.cli(['add', 'x', '--tag', 'tpu', '--wait'])
    expect(code).toBe(1)
    expect(stderr).toContain('No matching runner available within timeout')
  })

  test('they are listed; asked to leave, they go, and the server after them', async () => {
    const { runners } = await world.json<{ runners: { tags: string[]; status: string }[] }>([
      'runners',
    ])
    expect(runners.map(({ tags, status }) => [...tags, status]).sort()).toEqual([
      ['arm', 'online'],
      ['gpu', 'online'],
    ])
    expect(await world.endServer('SIGTERM')).toBe(0)
  })
})
