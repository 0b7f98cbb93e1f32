/** What parents are told is in one transaction with what they are told of. */
import { expect, it, onTestFinished } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openWorld } from '../conformance/world.ts'
import { openFixture } from './fixture.ts'

async function openFamily() {
  const world = await openWorld(openFixture)
  const Driver = await loadDriver()
  const shell = new Driver(world.fixture.opener.url.slice('file:'.length))
  onTestFinished(() => void shell.close())
  const parent = await world.add()
  const { session_id } = parent
  const child = await world.add({
    ...{ parent_session_id: session_id, execution_mode: 'async_callback' },
  })
  async function told() {
    const { runs } = await world.runs.list({ session_id, limit: 10 })
    return runs.flatMap(({ type, prompt }) => (type === 'resume_session' ? [prompt ?? ''] : []))
  }
  const end = shell.prepare("UPDATE runs SET status = 'failed', error = 'by hand' WHERE run_id = ?")
  return { world, shell, parent, child, told, end }
}

it('what plain SQL ends is told by the next sweep, once, also where the other ended by itself', async () => {
  const { world, parent, child, told, end } = await openFamily()
  end.run(child.run_id)
  expect(await world.runs.deliverCallbacks(null, world.clock.now(), 10)).toMatchObject({
    changes: [],
  })
  end.run(parent.run_id)
  expect(await told()).toEqual([])
  const other = await world.open()
  const delivered = await Promise.all(
    [world, other, world].map(({ runs }) => runs.deliverCallbacks(null, world.clock.now(), 10)),
  )
  expect(delivered.flatMap(({ changes }) => changes)).toMatchObject([
    { session_id: parent.session_id, status: 'pending' },
  ])
  expect(await told()).toEqual([expect.stringContaining('Error: by hand')])
})

it('what plain SQL ended is told with whatever ends next for the same parent', async () => {
  const { world, parent, child, told, end } = await openFamily()
  end.run(child.run_id)
  await world.runs.stop(parent.run_id, world.clock.now())
  expect(await told()).toEqual([expect.stringContaining('Error: by hand')])
})

it('a child whose parent cannot be told has not ended', async () => {
  const { world, shell, parent, child, told } = await openFamily()
  await world.runs.stop(parent.run_id, world.clock.now())
  shell.exec(`CREATE TRIGGER no_resume BEFORE INSERT ON runs WHEN NEW.type = 'resume_session'
    BEGIN SELECT RAISE(ABORT, 'no resume'); END`)
  await expect(world.runs.stop(child.run_id, world.clock.now())).rejects.toThrow('no resume')
  expect(await world.runNow(child)).toMatchObject({ status: 'pending' })
  expect(shell.prepare('SELECT * FROM callbacks').all()).toEqual([])
  shell.exec('DROP TRIGGER no_resume')
  await world.runs.stop(child.run_id, world.clock.now())
  expect(await told()).toHaveLength(1)
})
