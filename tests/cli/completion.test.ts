/** What Tab offers, asked of the shell itself. */
import { execFileSync } from 'node:child_process'
import { beforeAll, expect, test } from 'vitest'
import { cli } from './harness.ts'

let script: string
beforeAll(async () => {
  script = (await cli(['completion', 'bash'])).stdout
})

/** The last of the words is where the cursor stands. */
function offered(...words: string[]): string[] {
  const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runqueue; echo "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['-c', `${script}\n${ask}`, 'bash', ...words])
  return output.toString().trim().split(' ').filter(Boolean)
}

test.each([
  [['tok'], ['token']],
  [['re'], ['retry', 'recover']],
  [
    ['token', ''],
    ['create', 'list', 'revoke', '--help'],
  ],
  [['token', 'create', '--na'], ['--name']],
  [
    ['token', 'create', '--role', ''],
    ['client', 'runner', 'admin'],
  ],
  [
    ['add', '--wait', '--on-lost', ''],
    ['fail', 'requeue'],
  ],
  [['serve', '--durability', 'n'], ['normal']],
  [
    ['completion', ''],
    ['bash', 'zsh', '--help'],
  ],
])('runqueue %j: %j', (words, expected) => {
  expect(offered('runqueue', ...words)).toEqual(expected)
})

test.each([
  ['the value of an option', ['add', '--file', '']],
  ["the runner's own command", ['runner', '--', '--ta']],
])('%s is left to the shell', (_what, words) => {
  expect(offered('runqueue', ...words)).toEqual([])
})

test('zsh gets the same offers, and none of what only bash has', async () => {
  const { stdout } = await cli(['completion', 'zsh'])
  const offers = script.slice(0, script.indexOf('_runqueue() {'))
  expect(stdout.startsWith(`#compdef runqueue\n${offers}`)).toBe(true)
  expect(stdout).not.toMatch(/COMP|complete /)
})
