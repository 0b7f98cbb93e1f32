/** Transactions become visible in another order than their events were numbered. */
import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { News } from '../../src/queue/engine.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { aNewRun } from '../support/factories.ts'
import { openFixture, openShell } from './fixture.ts'

async function openWithShells(): Promise<{ world: World; shells: [pg.Client, pg.Client] }> {
  const world = await openWorld(openFixture)
  const { url } = world.fixture.opener
  const shells: [pg.Client, pg.Client] = [await openShell(url), await openShell(url)]
  onTestFinished(async () => {
    for (const shell of shells) await shell.end()
  })
  return { world, shells }
}

function listen({ changes }: World) {
  const heard: News[] = []
  onTestFinished(changes.subscribe((news) => heard.push(news)))
  return () => heard.flatMap(({ runs }) => runs.map(({ run_id }) => run_id))
}

const setDemands = (shell: pg.Client, run_id: string) =>
  shell.query(`UPDATE runs SET demands = '{"hostname":"${run_id}"}' WHERE run_id = '${run_id}'`)
const soon = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })

it('what commits late is told late, not missed, and nothing is told twice', async () => {
  const { world, shells } = await openWithShells()
  const [slow, quick] = shells
  const [first, second, third] = [await world.add(), await world.add(), await world.add()]
  const heard = listen(world)
  await world.runs.get(first.run_id)
  await slow.query('BEGIN')
  await setDemands(slow, first.run_id)
  await setDemands(quick, second.run_id)
  await soon(() => expect(heard()).toEqual([second.run_id]))
  await setDemands(quick, third.run_id)
  await soon(() => expect(heard()).toEqual([second.run_id, third.run_id]))
  await slow.query('COMMIT')
  await soon(() => expect(heard()).toEqual([second.run_id, third.run_id, first.run_id]))
})

it('what was under way when somebody began to listen is told when it commits', async () => {
  const { world, shells } = await openWithShells()
  const [slow] = shells
  const run = await world.add()
  await slow.query('BEGIN')
  await setDemands(slow, run.run_id)
  const heard = listen(world)
  await world.runs.get(run.run_id)
  await slow.query('COMMIT')
  await soon(() => expect(heard()).toEqual([run.run_id]))
})

it('more than one look reads is told in full, with what commits meanwhile', async () => {
  const { world, shells } = await openWithShells()
  const [slow, quick] = shells
  const early = await world.add()
  const heard = listen(world)
  await world.runs.get(early.run_id)
  await slow.query('BEGIN')
  await setDemands(slow, early.run_id)
  await quick.query(`
    INSERT INTO sessions (session_id, status, created_at, updated_at) VALUES ('ses_x', 'pending', '', '');
    INSERT INTO runs (run_id, session_id, type, parameters)
    SELECT 'run_' || n, 'ses_x', 'start_session', '{"prompt":"x"}' FROM generate_series(1, 1800) AS n`)
  await slow.query('COMMIT')
  await soon(() => expect(heard()).toHaveLength(1801))
  expect(new Set(heard()).size).toBe(1801)
  expect(heard().filter((run_id) => run_id !== early.run_id)).toEqual(
    Array.from({ length: 1800 }, (_, n) => `run_${n + 1}`),
  )
})

describe('while time stands still, so that no look comes of itself', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('what another process commits is told by its notification', async () => {
    const { world } = await openWithShells()
    const other = await world.open()
    const told = new Promise<string[]>((resolve) => {
      const tell = ({ runs }: News) => resolve(runs.map(({ run_id }) => run_id))
      onTestFinished(world.changes.subscribe(tell))
    })
    await world.runs.get('run_unknown')
    const { run } = await other.runs.add(aNewRun(), world.clock.now())
    expect(await told).toEqual([run.run_id])
  })

  it('a lost notification costs a moment, not a run', async () => {
    const { world, shells } = await openWithShells()
    const [silent] = shells
    const run = await world.add()
    const heard = listen(world)
    await world.runs.get(run.run_id)
    await silent.query("SET runqueue.hint = 'off'")
    await setDemands(silent, run.run_id)
    expect(heard()).toEqual([])
    vi.advanceTimersByTime(2_000)
    await soon(() => expect(heard()).toEqual([run.run_id]))
  })
})

it('events of a dump from a server with more transactions behind it are no news again and again', async () => {
  const { world, shells } = await openWithShells()
  const [shell] = shells
  const old = await world.add()
  await shell.query("UPDATE run_events SET xid = '9000000000000'")
  const heard = listen(world)
  const { run_id } = await world.add()
  await soon(() => expect(heard()).toEqual([run_id]))
  await setDemands(shell, old.run_id)
  await soon(() => expect(heard()).toEqual([run_id, old.run_id]))
})
