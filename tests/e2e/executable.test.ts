/** What was built is a program by itself: an image links to it, with no npm that makes it one. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BIN } from './program.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string }

test('dist/cli/bin.js starts without being handed to node', () => {
  expect(execFileSync(BIN, ['--version']).toString()).toBe(`${version}\n`)
})
