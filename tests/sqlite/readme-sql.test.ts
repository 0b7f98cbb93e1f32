/** The SQL that README.md shows, run by SQLite libraries of other languages while a runner waits. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openStream } from '../http/support/event-stream.ts'
import { setupOf } from '../http/support/service.ts'
import { openNewFixture } from './fixture.ts'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const [, SHOWN = ''] = /<<'SQL'\n(.*?)\nSQL\n/s.exec(README) ?? []

/** `libsql` is a library written in Rust, and always there; the others may be on this machine. */
const LANGUAGES: [string, isThere: boolean, run: (path: string, sql: string) => void][] = [
  ['Rust', true, inRust],
  ['Python', isThere('python3', '-c', 'import sqlite3'), inPython],
  ['the shell', isThere('sqlite3', '--version'), inShell],
]

/** In a process of its own: two SQLite libraries in one would take each other's locks off the file. */
function inRust(path: string, sql: string): void {
  const program = fileURLToPath(new URL('./sql-in-rust.mjs', import.meta.url))
  execFileSync(process.execPath, [program, path, sql], { stdio: 'pipe' })
}

function inPython(path: string, sql: string): void {
  const program = 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])'
  execFileSync('python3', ['-c', program, path, sql])
}

function inShell(path: string, sql: string): void {
  execFileSync('sqlite3', ['-bail', path], { input: sql })
}

function isThere(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

async function open() {
  const fixture = await openNewFixture()
  const service = await setupOf(async () => fixture)()
  return { service, path: fixture.opener.url.replace(/^file:/, '') }
}

test.each(LANGUAGES)('a run added in %s reaches a runner that waits', async (_, isThere, run) => {
  if (!isThere) return
  const { service, path } = await open()
  const runner_id = await service.register({ tags: ['gpu'] })
  const waiting = await service.waiting(() => service.claim(runner_id, { wait_seconds: 15 }))
  run(path, SHOWN)
  expect((await waiting.answer).runs).toMatchObject([
    { prompt: 'world', demands: { tags: ['gpu'] }, priority: 0, type: 'start_session' },
  ])
})

test.each([
  ['parameters that are no object', `'{"prompt":"world"}'`, `'["world"]'`],
  ['a list of tags that is none', '["gpu"]', '"gpu"'],
  ['a word that is none', '(parameters, demands) VALUES (', '(parameters, type) VALUES ('],
])('%s is refused, and nothing of it is stored', async (_, right, wrong) => {
  const { service, path } = await open()
  expect(SHOWN).toContain(right)
  expect(() => inRust(path, SHOWN.replace(right, wrong))).toThrow()
  expect(await service.runs()).toEqual([])
})

test('what plain SQL does to a run is told live, and in its history', async () => {
  const { service, path } = await open()
  const stream = await openStream(`${service.url}/events`)
  const Driver = await loadDriver()
  const shell = new Driver(path)
  onTestFinished(() => void shell.close())
  shell.exec(SHOWN)
  shell.exec("UPDATE runs SET status = 'failed', error = 'by hand'")
  const live = (await stream.take(2)).map(({ data }) => data)
  const byHand = { cause: null, changed_by: null, runner_id: null, attempt: 0 }
  expect(live).toMatchObject([
    { from_status: null, to_status: 'pending', detail: null, ...byHand },
    { from_status: 'pending', to_status: 'failed', detail: 'by hand', ...byHand },
  ])
  const { body } = await service.get<{ events: object[] }>(`/runs/${live[0]?.['run_id']}/events`)
  expect(body.events).toEqual(live.map(({ session_id: _, ...event }) => event))
})
