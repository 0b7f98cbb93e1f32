/** `runqueue prune`, with a server at work on the same database. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import { addSeconds } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { cli } from '../cli/harness.ts'
import { aNewRun } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What the harness has for now. */
const NOW = '2026-01-31T12:00:00.000Z'
const DAY = 24 * 3600

let path: string
let engine: Engine

beforeEach(async () => {
  path = join(tempDir(), 'queue.db')
  engine = await openSqliteEngine({ url: path })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await engine.close()
})

async function stoppedAgo(days: number, count: number): Promise<void> {
  const now = addSeconds(NOW, -days * DAY)
  const parameters = { prompt: 'x'.repeat(5000) }
  const added = await engine.runs.addMany(
    Array.from({ length: count }, () => aNewRun({ parameters })),
    now,
  )
  await Promise.all(added.map(({ run }) => engine.runs.stop(run.run_id, now)))
}

const prune = async (...args: string[]) => await cli(['prune', '--database', path, ...args])
const left = async () => (await engine.runs.list({ limit: 1000 })).runs.length

test('deletes what is older than the retention, says so, and gives the room back', async () => {
  await stoppedAgo(8, 900)
  await stoppedAgo(6, 10)
  const dry = await prune('--dry-run')
  expect(dry).toMatchObject({ code: 0, stdout: 'would delete: 900 runs, 900 sessions\n' })
  expect(await left()).toBe(910)
  const { code, stdout } = await prune()
  expect(code).toBe(0)
  expect(stdout).toMatch(/^deleted: 900 runs, 900 sessions; given back: [\d.]+ MB\n$/)
  expect(await left()).toBe(10)
  // A server on the same database goes on.
  await engine.runs.add(aNewRun(), NOW)
})

test('takes another age, and tells programs', async () => {
  await stoppedAgo(2, 3)
  const { stdout } = await prune('--older-than', '36h', '--json')
  expect(JSON.parse(stdout)).toEqual({
    ...{ runs: 3, sessions: 3, bytes: 0 },
    ...{ before: addSeconds(NOW, -36 * 3600), dry_run: false },
  })
})

test('goes by RUN_RETENTION, and asks where that is off', async () => {
  await stoppedAgo(2, 3)
  vi.stubEnv('RUN_RETENTION', '1d')
  expect((await prune('--dry-run')).stdout).toContain('3 runs')
  vi.stubEnv('RUN_RETENTION', 'off')
  expect(await prune()).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/RUN_RETENTION is off: say with --older-than/),
  })
  expect((await prune('--older-than', '0')).stdout).toContain('deleted: 3 runs')
})

test('refuses ages that are none, and a database that is not there', async () => {
  for (const age of ['a week', '-1d', '7w', '4000d']) {
    expect(await prune('--older-than', age)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a time like 90s, 15m, 12h or 7d'),
    })
  }
  const elsewhere = await cli(['prune', '--database', `${path}.not`])
  expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringContaining('no database at') })
})
