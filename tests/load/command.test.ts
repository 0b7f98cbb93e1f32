import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import type { Report } from '../../src/load/report.ts'
import { BIN } from '../server/process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { databasesIn } from './databases.ts'

it('reports what was done until Ctrl-C, which server and harness both hear', async () => {
  const folder = tempDir()
  const html = join(tempDir(), 'load.html')
  const flags = ['--runners', '20', '--rate', '50', '--duration', '600', '--json', '--html', html]
  const program = spawn(process.execPath, [BIN, 'load', 'steady', ...flags], {
    env: { ...process.env, TMPDIR: folder },
    // A process group of its own, as a terminal gives each command.
    detached: true,
  })
  onTestFinished(() => void program.kill('SIGKILL'))
  const stdout = text(program.stdout)
  let said = ''
  let interrupted = false
  program.stderr.setEncoding('utf8').on('data', (words: string) => {
    said += words
    if (interrupted || !program.pid || !said.includes('of 600 s')) return
    interrupted = true
    process.kill(-program.pid, 'SIGINT')
  })
  const [code] = await once(program, 'close')
  expect(said).toContain('load registering 20 runners\nload warming up\nload 0 of 600 s\n')
  const report = JSON.parse(await stdout) as Report
  expect(report).toMatchObject({ ended: 'stopped', ok: true, failures: {} })
  expect(report.runs.accepted).toBeGreaterThan(0)
  expect(code).toBe(130)
  expect(readFileSync(html, 'utf8')).toContain(report.started_at)
  expect(databasesIn(folder)).toEqual([])
})
