import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { tokenHash } from '../../src/queue/token.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { tempDir } from '../support/temp-dir.ts'
import { cli, scriptedServer } from './harness.ts'

afterEach(() => vi.unstubAllEnvs())

/** On a database of its own. */
function tokenCommands() {
  const url = `file:${join(tempDir(), 'queue.db')}`
  return {
    url,
    token: (...args: string[]) => cli(['token', ...args, '--database', url]),
  }
}

const CI = ['create', '--role', 'client', '--name', 'ci']

test('create prints the token alone, and keeps only its hash', async () => {
  const { token, url } = tokenCommands()
  const { code, stdout, stderr } = await token(...CI)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^rq_[\w-]{43}\n$/)
  expect(stderr).toMatch(/^tok_[0-9a-f]{12}: client token 'ci', without end; .*not shown again\n$/)
  const engine = await openSqliteEngine({ url })
  const found = await engine.tokens.find(tokenHash(stdout.trim()))
  await engine.close()
  expect(found.token).toMatchObject({ name: 'ci', role: 'client', expires_at: null })
  expect((await token('list', '--json')).stdout).not.toContain(stdout.trim())
})

test('create --json', async () => {
  const { token } = tokenCommands()
  const { stdout, stderr } = await token(...CI, '--json', '--expires', '90d')
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({
    token: expect.stringMatching(/^rq_/),
    token_id: expect.stringMatching(/^tok_/),
    name: 'ci',
    role: 'client',
    created_at: '2026-01-31T12:00:00.000Z',
    expires_at: '2026-05-01T12:00:00.000Z',
    revoked_at: null,
  })
})

test.each([
  ['12h', '2026-02-01T00:00:00.000Z'],
  ['30m', '2026-01-31T12:30:00.000Z'],
  ['2027-01-31', '2027-01-31T00:00:00.000Z'],
  ['2027-01-31T13:00:00+01:00', '2027-01-31T12:00:00.000Z'],
])('--expires %s', async (when, expires_at) => {
  const { token } = tokenCommands()
  const { stdout } = await token(...CI, '--json', '--expires', when)
  expect(JSON.parse(stdout)).toMatchObject({ expires_at })
})

test.each([
  [['create', '--name', 'x'], /--role <role>' not specified/],
  [['create', '--role', 'client'], /--name <name>' not specified/],
  [['create', '--role', 'boss', '--name', 'x'], /Allowed choices are client, runner, admin/],
  [['create', '--role', 'client', '--name', 'a\nb'], /1 to 200 characters/],
  [[...CI, '--expires', 'soon'], /a time like 90d, 12h or 30m/],
  [[...CI, '--expires', '0d'], /a time like 90d/],
  [[...CI, '--expires', '2026-01-31T12:00:00Z'], /is over already/],
  [['revoke'], /missing required argument 'token'/],
])('%j makes no sense', async (args, says) => {
  const { token } = tokenCommands()
  const { code, stdout, stderr } = await token(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(says)
  expect(JSON.parse((await token('list', '--json')).stdout)).toEqual({ tokens: [] })
})

test('list tells which can be used', async () => {
  const { token } = tokenCommands()
  expect(await token('list')).toMatchObject({ code: 0, stdout: '', stderr: 'there is no token\n' })
  await token('create', '--role', 'admin', '--name', 'me', '--expires', '1d')
  await token(...CI)
  await token('revoke', 'ci')
  const { stdout } = await token('list')
  const rows = stdout.trimEnd().split('\n')
  expect(rows[0]).toMatch(/^TOKEN +ROLE +STATUS +MADE +EXPIRES +NAME$/)
  expect(rows[1]).toMatch(/^tok_\w+ +(client +revoked .*- +ci|admin +usable .*2026-02-01\S+ +me)$/)
  expect(rows).toHaveLength(3)
  const statuses = rows.slice(1).map((row) => row.split(/ +/)[2])
  expect(statuses.sort()).toEqual(['revoked', 'usable'])
})

test('revoke says what it revoked, or that there is no such token', async () => {
  const { token } = tokenCommands()
  await token(...CI)
  expect((await token('revoke', 'ci')).stdout).toMatch(/^tok_\w+ 'ci' is revoked\n$/)
  const again = await token('revoke', 'ci')
  expect(again).toMatchObject({ code: 1, stdout: '' })
  expect(again.stderr).toContain("no token with the id or name 'ci'")
})

test('commands send --token, or what RUNQUEUE_TOKEN says', async () => {
  const sent = async (args: string[]) => {
    let authorization: string | null = null
    const { fetch } = scriptedServer()
    await cli(args, {
      fetch: (input, init) => {
        authorization = new Headers(init?.headers).get('authorization')
        return fetch(input, init)
      },
    })
    return authorization
  }
  expect(await sent(['list'])).toBeNull()
  expect(await sent(['list', '--token', 'rq_1'])).toBe('Bearer rq_1')
  vi.stubEnv('RUNQUEUE_TOKEN', 'rq_2\n')
  expect(await sent(['list'])).toBe('Bearer rq_2')
  expect(await sent(['list', '--token', 'rq_1'])).toBe('Bearer rq_1')
  expect((await cli(['list', '--token', 'a b'])).code).toBe(2)
})

test.each([
  ['token_required', 401, 'A token (client or admin) is needed to list runs, and none was sent'],
  ['invalid_token', 401, 'The token was revoked'],
  ['insufficient_scope', 403, "The runner token 'box' may not list runs: that takes client"],
])(
  '%s is told in words, with a hint and an exit code of its own',
  async (code, status, message) => {
    const fetch = async () => Response.json({ code, message, detail: message }, { status })
    const refused = await cli(['list'], { fetch })
    expect(refused).toMatchObject({ code: 7, stdout: '' })
    expect(refused.stderr).toContain(`error: ${message} (${code})\n`)
    expect(refused.stderr).toMatch(/RUNQUEUE_TOKEN .*`runqueue token create`/)
  },
)
