import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CommandProcess, type ProcessOptions } from '../../src/runner/process.ts'
import { isAtWork } from './harness.ts'

/** A place where commands leave files, to tell how far they have come. */
function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'process-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function start(command: ProcessOptions['command'], options: Partial<ProcessOptions> = {}) {
  const process = new CommandProcess({
    command,
    cwd: tmpdir(),
    env: {},
    input: '',
    output_bytes: 1024,
    streams_seconds: 0.1,
    ...options,
  })
  onTestFinished(async () => {
    process.kill()
    await process.outcome
  })
  return process
}

const sh = (line: string, options: Partial<ProcessOptions> = {}) =>
  start(['sh', '-c', line], options)

const appeared = (file: string) =>
  expect.poll(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n')).toBe(true)

/** The id of a process that wrote it to a file. */
async function pidIn(file: string): Promise<number> {
  await appeared(file)
  return Number(readFileSync(file, 'utf8'))
}

test('what goes in on stdin, whole; what comes out on stdout', async () => {
  const input = `${'x'.repeat(300_000)}\n`
  expect(await sh('wc -c | tr -d " "', { input }).outcome).toEqual({
    status: 'completed',
    text: '300001\n',
    left_out: 0,
  })
})

test('of much output, the end', async () => {
  const outcome = await sh('seq 100000', { output_bytes: 14 }).outcome
  expect(outcome).toEqual({ status: 'completed', text: '\n99999\n100000\n', left_out: 588_881 })
})

test('input that nobody reads is no error', async () => {
  const input = 'x'.repeat(1_000_000)
  expect(await sh('echo done', { input }).outcome).toEqual({
    status: 'completed',
    text: 'done\n',
    left_out: 0,
  })
})

test('the environment is the one of the runner, changed as asked', async () => {
  process.env['PROCESS_TEST_INHERITED'] = 'inherited'
  process.env['PROCESS_TEST_HIDDEN'] = 'hidden'
  onTestFinished(() => {
    delete process.env['PROCESS_TEST_INHERITED']
    delete process.env['PROCESS_TEST_HIDDEN']
  })
  const env = { PROCESS_TEST_HIDDEN: undefined, PROCESS_TEST_ADDED: 'added' }
  expect(await sh('env | grep PROCESS_TEST | sort', { env }).outcome).toMatchObject({
    text: 'PROCESS_TEST_ADDED=added\nPROCESS_TEST_INHERITED=inherited\n',
  })
})

test('an exit code other than 0 fails, with the end of stderr', async () => {
  const outcome = await sh('seq 100000 >&2; echo oh no >&2; exit 3').outcome
  expect(outcome).toMatchObject({ status: 'failed' })
  const error = outcome.status === 'failed' ? outcome.error : ''
  expect(error).toMatch(/^the command exited with code 3\n/)
  expect(error).toMatch(/\n100000\noh no$/)
  expect(error.length).toBeLessThan(9000)
})

test('a signal that nobody here sent fails', async () => {
  expect(await sh('kill -SEGV $$').outcome).toEqual({
    status: 'failed',
    error: 'the command was killed by SIGSEGV',
  })
})

test('what cannot be started fails, in words', async () => {
  const failure = async (process: CommandProcess) => {
    const outcome = await process.outcome
    return outcome.status === 'failed' ? outcome.error : outcome.status
  }
  const file = join(scratch(), 'file')
  expect(await failure(sh(`echo > ${file}`))).toBe('completed')
  expect(await failure(start(['there-is-none']))).toMatch(
    /^cannot start there-is-none: there is no/,
  )
  expect(await failure(start([file]))).toMatch(/^cannot start .*: it may not be executed/)
  expect(await failure(sh('true', { cwd: '/there/is/none' }))).toBe(
    'cannot work in project_dir /there/is/none: there is no such directory on the host of this runner',
  )
  expect(await failure(sh('true', { cwd: file }))).toMatch(/it is not a directory$/)
  expect(await failure(sh('true', { cwd: 'a\0b' }))).toMatch(/^cannot work in project_dir/)
  const env = { TOO_LONG: 'x'.repeat(200_000) }
  expect(await failure(sh('true', { env }))).toMatch(/^cannot start sh: .* too long/)
})

test('a stop ends the command and its children', async () => {
  const pids = join(scratch(), 'pids')
  const process = sh(`sleep 60 & echo $! > ${pids}; wait`)
  const child = await pidIn(pids)
  process.stop(60)
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGTERM' })
  expect(isAtWork(child)).toBe(false)
})

test('a command that exits with 0 because it was stopped is stopped all the same', async () => {
  const ready = join(scratch(), 'ready')
  const process = sh(`trap 'exit 0' TERM; echo > ${ready}; while :; do sleep 0.01; done`)
  await appeared(ready)
  process.stop(60)
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGTERM' })
})

test('what ignores SIGTERM gets SIGKILL after the grace period', async () => {
  const ready = join(scratch(), 'ready')
  const process = sh(`trap '' TERM; echo > ${ready}; while :; do sleep 0.01; done`)
  await appeared(ready)
  const began = performance.now()
  process.stop(0.2)
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGKILL' })
  expect(performance.now() - began).toBeGreaterThan(190)
})

/** A command whose child does this on SIGTERM, writes its id to the file, and goes on and on. */
const withChild = (onTerm: string, file: string) =>
  sh(`(trap '${onTerm}' TERM
      echo $(exec sh -c 'echo $PPID') > ${file}; while :; do sleep 0.01; done) > /dev/null 2>&1 &
    wait`)

test('children have the grace period too', async () => {
  const tidy = join(scratch(), 'tidy')
  const process = withChild(`sleep 0.05; echo tidied > ${tidy}.done; exit`, tidy)
  const child = await pidIn(tidy)
  process.stop(60)
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGTERM' })
  await expect.poll(() => isAtWork(child)).toBe(false)
  expect(readFileSync(`${tidy}.done`, 'utf8')).toBe('tidied\n')
})

test('… and no more', async () => {
  const stubborn = join(scratch(), 'stubborn')
  const process = withChild('', stubborn)
  const child = await pidIn(stubborn)
  process.stop(0.1)
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGTERM' })
  await expect.poll(() => isAtWork(child)).toBe(false)
})

test('a child left behind with the output in hand does not hold the run', async () => {
  const pids = join(scratch(), 'pids')
  const began = performance.now()
  const outcome = await sh(`sleep 60 & echo $! > ${pids}; echo done`).outcome
  // The child stays for a minute.
  expect(performance.now() - began).toBeLessThan(20_000)
  expect(outcome).toEqual({ status: 'completed', text: 'done\n', left_out: 0 })
  process.kill(await pidIn(pids))
})

test('a stop that comes after the exit changes nothing', async () => {
  const pids = join(scratch(), 'pids')
  const command = sh(`sleep 60 & echo $! > ${pids}; exit 4`, { streams_seconds: 0.3 })
  const child = await pidIn(pids)
  const shell = Number(readFileSync(`/proc/${child}/stat`, 'utf8').split(' ')[4])
  // Gone, not just ended: this process has been told of its exit.
  await expect.poll(() => existsSync(`/proc/${shell}`)).toBe(false)
  command.stop(60)
  expect(await command.outcome).toMatchObject({ status: 'failed' })
  process.kill(child)
})

test('a kill leaves nobody', async () => {
  const pids = join(scratch(), 'pids')
  const process = sh(`trap '' TERM; sleep 60 & echo $! > ${pids}; wait`)
  const child = await pidIn(pids)
  process.kill()
  expect(await process.outcome).toEqual({ status: 'stopped', signal: 'SIGKILL' })
  await expect.poll(() => isAtWork(child)).toBe(false)
})
