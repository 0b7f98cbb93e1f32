/** A run travels end to end, through the built program. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { RunView } from '../../src/client/index.ts'
import { isAtWork } from '../runner/harness.ts'
import { makeTempDir, tempDir } from '../support/temp-dir.ts'
import { World } from './program.ts'

const QUIET = { LOG_LEVEL: 'warn' }

let world: World

/** With a server, for one test. */
async function openWorld(settings: Record<string, string> = {}): Promise<void> {
  const opened = new World(tempDir(), { ...QUIET, ...settings })
  onTestFinished(() => opened.close())
  await opened.startServer()
  world = opened
}

/** With a server and these runners, for all tests of a group: to start them takes longer than most. */
function sharedWorld(startRunners: (of: World) => Promise<unknown>): void {
  const { path, remove } = makeTempDir()
  const shared = new World(path, QUIET)
  beforeAll(async () => {
    await shared.startServer()
    await startRunners(shared)
  })
  beforeEach(() => {
    world = shared
  })
  afterAll(async () => {
    await shared.close()
    remove()
  })
}

/** Runs its prompt as a shell script. */
const SHELL = ['sh', '-c', 'sh -s']

const added = async (args: string[]): Promise<string> => {
  const { stdout, code, stderr } = await world.cli(['add', ...args])
  expect(code, stderr).toBe(0)
  return stdout.trim()
}
const show = (runId: string) => world.json<RunView>(['show', runId])

/** The process that wrote its id there is running. */
const isAlive = (pidFile: string) => isAtWork(Number(readFileSync(pidFile, 'utf8')))

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1600; i++) {
    if (await holds()) return
    await delay(25)
  }
  throw new Error(`it never came that ${what}`)
}

test('a runner that was killed and starts again: what it held is settled', async () => {
  await openWorld({ RUNNER_HEARTBEAT_INTERVAL: '0.2', RUNNER_STALE_THRESHOLD: '1' })
  const first = await world.startRunner([], SHELL)
  const gate = join(world.folder, 'gate')
  const runId = await added([`until [ -e ${gate} ]; do sleep 0.05; done`])
  await until('it runs', async () => (await show(runId)).status === 'running')
  await first.end('SIGKILL')
  await world.startRunner([], SHELL)
  expect(await show(runId)).toMatchObject({
    status: 'failed',
    error: 'Runner disconnected during execution',
  })
  expect((await world.cli(['add', 'echo next', '--wait'])).stdout).toBe('next\n')
  writeFileSync(gate, '')
})

describe('one runner', () => {
  sharedWorld((of) => of.startRunner([], SHELL))

  test('a command succeeds, and what it prints is the result', async () => {
    const { code, stdout } = await world.cli(['add', 'echo hello; echo world', '--wait'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'hello\nworld\n' })
  })

  test('the prompt may come from stdin and from a file, parameters and ids from the environment', async () => {
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
    const { code, stderr } = await world.cli(['add', 'echo oh no >&2; exit 3', '--wait'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/exited with code 3/)
    expect(stderr).toContain('oh no')
  })

  test('a long command is stopped within seconds, and its process is gone', async () => {
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
})

describe('a server of its own', () => {
  beforeEach(() => openWorld())

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
  const command = (name: string) => ['sh', '-c', `cat > /dev/null; echo ${name}`]
  sharedWorld(async (of) => {
    await of.startRunner(['--tag', 'gpu'], command('gpu-runner'))
    await of.startRunner(['--tag', 'arm', '--require-matching-tags'], command('arm-runner'))
  })

  test('each run reaches the runner that has what it demands', async () => {
    expect((await world.cli(['add', 'x', '--tag', 'arm', '--wait'])).stdout).toBe('arm-runner\n')
    expect((await world.cli(['add', 'x', '--tag', 'gpu', '--wait'])).stdout).toBe('gpu-runner\n')
    // The other one takes only runs that demand its tag.
    expect((await world.cli(['add', 'x', '--wait'])).stdout).toBe('gpu-runner\n')
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

test('a tag that nobody has: the run fails when its time is up', async () => {
  await openWorld({ RUN_NO_MATCH_TIMEOUT: '1', RUN_SWEEP_INTERVAL: '0.2' })
  await world.startRunner(['--tag', 'gpu'], SHELL)
  const { code, stderr } = await world.cli(['add', 'x', '--tag', 'tpu', '--wait'])
  expect(code).toBe(1)
  expect(stderr).toContain('No matching runner available within timeout')
})
