import { readFileSync } from 'node:fs'
import { afterEach, expect, test, vi } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { cli, scriptedServer } from './harness.ts'

afterEach(() => vi.unstubAllEnvs())

/** Where a command sends its question. */
async function asks(args: string[]): Promise<string> {
  let asked = ''
  const { fetch } = scriptedServer()
  await cli(args, {
    fetch: (input, init) => {
      asked = String(input)
      return fetch(input, init)
    },
  })
  return asked
}

test('alone it prints help, as --help does', async () => {
  const help = await cli(['--help'])
  expect(help).toMatchObject({ code: 0, stderr: '' })
  expect(await cli([])).toEqual(help)
  for (const code of Object.values(EXIT))
    expect(help.stdout).toMatch(new RegExp(`^  ${code} +`, 'm'))
})

test('help shows every command, in groups', async () => {
  const { stdout } = await cli(['--help'])
  const words = stdout.matchAll(/^([A-Z]\w+:)$|^ {2}(\w+)(?: [<[].*)? {2,}\w/gm)
  const listed = [...words].map(([, group, command]) => group ?? command)
  expect(listed.slice(listed.indexOf('Work:'), listed.indexOf('Examples:'))).toEqual([
    ...['Work:', 'add', 'list', 'show', 'wait', 'stop', 'retry'],
    ...['Look:', 'explain', 'runners', 'sessions'],
    ...['Operate:', 'serve', 'runner', 'token', 'recover', 'prune', 'backup', 'copy', 'load'],
    'completion',
    ...['Help:', 'help'],
  ])
})

test('every command that asks a server has help, with --json, --url and --token', async () => {
  const commands = [
    'add',
    'list',
    'show',
    'wait',
    'stop',
    'retry',
    'explain',
    'runners',
    'sessions',
  ]
  for (const command of commands) {
    const help = await cli([command, '--help'])
    expect(help.code).toBe(0)
    expect(help.stdout).toContain('--json')
    expect(help.stdout).toContain('--url')
    expect(help.stdout).toContain('RUNQUEUE_TOKEN')
  }
})

test('--version prints the version of the package', async () => {
  const file = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8'))
  expect(await cli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
})

test('an unknown command gets a suggestion', async () => {
  const { code, stderr } = await cli(['lsit'])
  expect(code).toBe(2)
  expect(stderr).toContain('Did you mean list?')
})

test('--url counts before and after the command, above the environment', async () => {
  expect(await asks(['runners'])).toBe('http://127.0.0.1:8765/runners')
  vi.stubEnv('RUNQUEUE_URL', 'http://env:1/')
  expect(await asks(['runners'])).toBe('http://env:1/runners')
  expect(await asks(['--url', 'http://before:2', 'runners'])).toBe('http://before:2/runners')
  expect(await asks(['runners', '--url', 'http://after:3'])).toBe('http://after:3/runners')
  expect(await asks(['--url', 'http://b:2', 'runners', '--url', 'http://a:3'])).toBe(
    'http://a:3/runners',
  )
})

test('--json counts before and after the command', async () => {
  const { stdout } = await cli(['runners', '--json'])
  expect(JSON.parse(stdout)).toEqual({ runners: [] })
  expect((await cli(['--json', 'runners'])).stdout).toBe(stdout)
})

test('a url that is none is refused before anything is asked', async () => {
  for (const url of ['localhost:8765', 'nonsense', 'file:///etc']) {
    const { code, stderr } = await cli(['list', '--url', url])
    expect(code).toBe(2)
    expect(stderr).toContain('an address like http://127.0.0.1:8765')
  }
  vi.stubEnv('RUNQUEUE_URL', 'nonsense')
  expect((await cli(['list'])).stderr).toContain('RUNQUEUE_URL')
  expect((await cli(['--help'])).code).toBe(0)
})
