/** What a server makes of the runs that an earlier one left, by RUN_RECOVERY_MODE. */
import { expect, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import type { Engine } from '../../src/queue/engine.ts'
import { addSeconds, timestamp } from '../../src/queue/time.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import { apiOf } from '../http/support/api.ts'
import { aNewRun, aNewRunner, someTokens } from '../support/factories.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere, urlOf } from './in-process.ts'

/** What comes later, of itself, is no matter of these tests, however long they take. */
const NO_SWEEPS = { RUN_SWEEP_INTERVAL: '3600', RUNNER_LIFECYCLE_INTERVAL: '3600' }
const HELD = ['claimed', 'running', 'stopping'] as const

/** One run in each status in which a runner holds it. @returns their ids */
async function leaveRuns({ runs, runners }: Engine, at: string): Promise<string[]> {
  const { runner_id } = await runners.register(aNewRunner(), at, at)
  const ids: string[] = []
  for (const status of HELD) {
    const { run_id } = (await runs.add(aNewRun(), at)).run
    await runs.claim({ runner_id, limit: 1, claim_key: null, tokens: someTokens(1) }, at)
    if (status !== 'claimed') await runs.start({ run_id, runner_id, claim_token: null }, at)
    if (status === 'stopping') await runs.stop(run_id, at)
    ids.push(run_id)
  }
  return ids
}

const STALE = ['pending', 'failed: Coordinator restarted during execution', 'stopped']
const ALL = ['pending', 'failed: Coordinator restarted - execution state unknown', 'stopped']

test.each([
  ['unless told otherwise, long after', {}, 400, STALE],
  ['stale, long after', { RUN_RECOVERY_MODE: 'stale' }, 400, STALE],
  // A stop that was asked for is taken as done whatever its age, if its runner is gone.
  ['stale, soon after', { RUNNER_STALE_THRESHOLD: '30' }, 200, ['claimed', 'running', 'stopped']],
  ['stale, with another threshold', { RUN_RECOVERY_THRESHOLD: '150' }, 200, STALE],
  ['stale, but the runner is alive', { RUNNER_STALE_THRESHOLD: '500' }, 400, HELD],
  ['all, at once', { RUN_RECOVERY_MODE: 'all' }, 0, ALL],
  ['none', { RUN_RECOVERY_MODE: 'none' }, 400, HELD],
])('%s', async (_, environment, age, expected) => {
  const DATABASE_URL = urlOf(tempDir())
  const engine = await openSqliteEngine({ url: DATABASE_URL })
  const ids = await leaveRuns(engine, addSeconds(timestamp(new Date()), -age))
  await engine.close()

  const given = { DATABASE_URL, ...NO_SWEEPS, ...environment }
  const { url } = await startHere(given as Record<string, string>)
  const { get } = apiOf(url)
  const found: string[] = []
  for (const run_id of ids) {
    const { status, error } = (await get<RunView>(`/runs/${run_id}`)).body
    found.push(error ? `${status}: ${error}` : status)
  }
  expect(found).toEqual(expected)
})
