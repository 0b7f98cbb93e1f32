/** What a command loads, people wait for: only what it needs. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { BIN } from '../server/process.ts'

const HOOK = fileURLToPath(new URL('loaded-modules.mjs', import.meta.url))

/** The packages and the folders of the build that it loads until it finds that no server is there. */
async function loadedBy(...args: string[]): Promise<string[]> {
  const env = { ...process.env, RUNQUEUE_URL: 'http://127.0.0.1:1' }
  const ran = promisify(execFile)(process.execPath, ['--import', HOOK, BIN, ...args], { env })
  const { code, stderr } = await ran.then(
    () => expect.unreachable('nothing listens there'),
    (error: { code: number; stderr: string }) => error,
  )
  expect(code, stderr).toBe(EXIT.unreachable)
  const lines = stderr.split('\n').filter((line) => line.startsWith('loaded file:'))
  return [...new Set(lines.map(nameOf))]
}

function nameOf(line: string): string {
  const [, name] =
    /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(line) ??
    /\/dist\/(\w+)\//.exec(line) ??
    []
  return name ?? 'dist'
}

test('a command that asks a server loads the client, and no engine, server or runner', async () => {
  const loaded = await loadedBy('show', 'run_000000000001')
  expect(loaded).toContain('client')
  expect(loaded.filter((name) => !OF_EVERY_COMMAND.includes(name))).toEqual([])
})

/** Folders with the descriptions of commands, and words that they share with others. */
const OF_EVERY_COMMAND = ['dist', 'cli', 'client', 'commander', 'load', 'queue', 'runner', 'upkeep']
