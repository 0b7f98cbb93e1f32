/** What a request builds on is deleted while the request is under way. */
import type pg from 'pg'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import type { Run } from '../../src/queue/run.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import { openFixture, openShell } from './fixture.ts'

let world: World
let shell: pg.Client
let run: Run

beforeEach(async () => {
  world = await openWorld(openFixture)
  shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  run = (await world.bring('failed')).run
})

/** The session is there when it is looked for, and gone when it is needed. */
async function deletedMeanwhile(operation: () => Promise<unknown>): Promise<unknown> {
  await shell.query('BEGIN')
  await shell.query('DELETE FROM sessions WHERE session_id = $1', [run.session_id])
  const outcome = operation()
  await vi.waitFor(async () => {
    const { rows } = await shell.query(
      'SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))',
    )
    expect(rows).toHaveLength(1)
  })
  await shell.query('COMMIT')
  return await outcome
}

it('a session that is resumed is not found', async () => {
  const resumed = aNewRun({ type: 'resume_session', session_id: run.session_id })
  const now = world.clock.now()
  await deletedMeanwhile(() => refusal(world.runs.add(resumed, now), 'session_not_found'))
})

it('a batch that resumes it says which run that was', async () => {
  const resumed = aNewRun({ type: 'resume_session', session_id: run.session_id })
  const now = world.clock.now()
  const error = await deletedMeanwhile(() =>
    refusal(world.runs.addMany([aNewRun(), resumed], now), 'session_not_found'),
  )
  expect(error).toMatchObject({ facts: { index: 1 } })
  expect(await world.runs.pending(10)).toEqual([])
})

it('a session that is told an event is not found', async () => {
  const event = { session_id: run.session_id, event_type: 'note', timestamp: world.clock.now() }
  await deletedMeanwhile(() => refusal(world.sessions.addEvent(event), 'session_not_found'))
})
