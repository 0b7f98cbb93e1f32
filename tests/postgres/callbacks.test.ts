/** What parents are told is in one transaction with what they are told of, whoever else is at work. */
import type pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import type { Run } from '../../src/queue/run.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture, openShell } from './fixture.ts'

interface Family {
  world: World
  shell: pg.Client
  parent: Run
  child: Run
  /** The prompts of the runs that told the parent. */
  told: () => Promise<string[]>
}

async function openFamily(): Promise<Family> {
  const world = await openWorld(openFixture)
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  const parent = await world.add()
  const { session_id } = parent
  const child = await world.add({
    ...{ parent_session_id: session_id, execution_mode: 'async_callback' },
  })
  async function told() {
    const { runs } = await world.runs.list({ session_id, limit: 10 })
    return runs.flatMap(({ type, prompt }) => (type === 'resume_session' ? [prompt ?? ''] : []))
  }
  return { world, shell, parent, child, told }
}

/** As the engine would, in a transaction that is open yet. */
const stopIn = async (shell: pg.Client, { run_id, session_id }: Run) => {
  await shell.query("UPDATE runs SET status = 'stopped' WHERE run_id = $1", [run_id])
  await shell.query("UPDATE sessions SET status = 'stopped' WHERE session_id = $1", [session_id])
}

/** Resolves when somebody waits for this transaction. */
async function blocks(shell: pg.Client): Promise<void> {
  const blocked = async () => {
    const { rows } = await shell.query(
      'SELECT pid FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))',
    )
    return rows
  }
  await expect.poll(blocked).toHaveLength(1)
}

it('a parent that ends before its child has committed is told of it', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  await shell.query('BEGIN')
  await stopIn(shell, child)
  const stopped = world.runs.stop(parent.run_id, world.clock.now())
  await blocks(shell)
  await shell.query('COMMIT')
  expect(await stopped).toMatchObject({ outcome: 'cancelled' })
  expect(await told()).toEqual([expect.stringContaining(child.session_id)])
})

it('a child that ends before its parent has committed is told of', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  await shell.query('BEGIN')
  await stopIn(shell, parent)
  const stopped = world.runs.stop(child.run_id, world.clock.now())
  await blocks(shell)
  await shell.query('COMMIT')
  await stopped
  expect(await told()).toEqual([expect.stringContaining(child.session_id)])
})

it('two that deliver at once deliver once', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  for (const run of [child, parent]) await stopIn(shell, run)
  const other = await world.open()
  const now = world.clock.now()
  const engines = [world, other, world, other]
  const delivered = await Promise.all(
    engines.map(({ runs }) => runs.deliverCallbacks(null, now, 10)),
  )
  expect(delivered.flatMap(({ changes }) => changes)).toHaveLength(1)
  expect(await told()).toEqual([expect.stringContaining(child.session_id)])
})

it('what plain SQL ends is told by the next sweep, also where the other ended by itself', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  await stopIn(shell, child)
  expect(await world.runs.deliverCallbacks(null, world.clock.now(), 10)).toMatchObject({
    changes: [],
  })
  await stopIn(shell, parent)
  expect(await told()).toEqual([])
  const { changes } = await world.runs.deliverCallbacks(null, world.clock.now(), 10)
  expect(changes).toMatchObject([{ session_id: parent.session_id, status: 'pending' }])
  expect(await told()).toEqual([expect.stringContaining('Error: The run was stopped')])
})

it('a child whose parent cannot be told has not ended', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  await world.runs.stop(parent.run_id, world.clock.now())
  await shell.query(
    "ALTER TABLE runs ADD CONSTRAINT no_resume CHECK (type <> 'resume_session') NOT VALID",
  )
  try {
    await expect(world.runs.stop(child.run_id, world.clock.now())).rejects.toThrow('no_resume')
    expect(await world.runNow(child)).toMatchObject({ status: 'pending' })
    expect((await shell.query('SELECT * FROM callbacks')).rows).toEqual([])
  } finally {
    await shell.query('ALTER TABLE runs DROP CONSTRAINT no_resume')
  }
  await world.runs.stop(child.run_id, world.clock.now())
  expect(await told()).toHaveLength(1)
})
