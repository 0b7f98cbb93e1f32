/** Transactions end in another order than they begin, and each event is counted once all the same. */
import { expect, it, onTestFinished } from 'vitest'
import { FOLD_LIMIT } from '../../src/queue/metrics.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openNewFixture, openShell } from './fixture.ts'

async function setup() {
  const world = await openWorld(openNewFixture)
  const { session_id } = await world.add()
  const open = async () => {
    const shell = await openShell(world.fixture.opener.url)
    onTestFinished(() => shell.end())
    const insert = (name: string, count: number) =>
      shell.query(
        `INSERT INTO runs (run_id, session_id, type, parameters)
         SELECT $1 || i, $2, 'start_session', '{"prompt":"x"}' FROM generate_series(1, $3) AS i`,
        [name, session_id, count],
      )
    return Object.assign(shell, { insert })
  }
  return { world, open }
}

async function added({ metrics }: World): Promise<number | undefined> {
  return (await metrics.read('')).totals?.added
}

async function foldAll({ metrics }: World): Promise<number> {
  let all = 0
  for (;;) {
    const { events } = await metrics.fold()
    if (events === 0) return all
    all += events
  }
}

it('what commits late is counted when it is there, and once', async () => {
  const { world, open } = await setup()
  const [slow, slower, quick] = [await open(), await open(), await open()]
  await slow.query('BEGIN')
  await slow.insert('slow', 3)
  await slower.query('BEGIN')
  await slower.insert('slower', 5)
  await quick.insert('quick', FOLD_LIMIT + 7)
  const told = [await added(world)]
  const folded = [(await world.metrics.fold()).events]
  await slow.query('COMMIT')
  told.push(await added(world))
  folded.push((await world.metrics.fold()).events)
  told.push(await added(world))
  await slower.query('COMMIT')
  await quick.insert('later', 1)
  told.push(await added(world))
  folded.push(await foldAll(world))
  told.push(await added(world))
  const first = 1 + FOLD_LIMIT + 7
  expect(told).toEqual([first, first + 3, first + 3, first + 9, first + 9])
  expect(folded).toEqual([FOLD_LIMIT, 3 + 8, 6])
})

it('what was rolled back is not counted', async () => {
  const { world, open } = await setup()
  const shell = await open()
  await shell.query('BEGIN')
  await shell.insert('undone', 3)
  await foldAll(world)
  await shell.query('ROLLBACK')
  await world.add()
  expect(await foldAll(world)).toBe(1)
  expect(await added(world)).toBe(2)
})

it('of a run that is deleted while it is folded nothing is lost, and nothing is left', async () => {
  const { world, open } = await setup()
  const shell = await open()
  await world.bring('completed', { priority: 1 })
  await shell.query('BEGIN')
  await shell.query("DELETE FROM runs WHERE status = 'completed'")
  const folding = foldAll(world)
  await shell.query('COMMIT')
  await folding
  expect((await world.metrics.read('')).totals).toMatchObject({
    ...{ added: 2, finished: { completed: 1 } },
    runs: { pending: 1, completed: 0 },
  })
  await foldAll(world)
  const left = await shell.query('SELECT to_status FROM run_events')
  expect(left.rows).toEqual([{ to_status: 'pending' }])
})

it('goes on where a dump was restored, whose transactions were others', async () => {
  const { world, open } = await setup()
  const shell = await open()
  await shell.insert('before', 4)
  await foldAll(world)
  await shell.query("UPDATE metrics_position SET snapshot = '9000000000000:9000000000000:'")
  await shell.insert('after', 2)
  expect(await foldAll(world)).toBe(2)
  expect(await added(world)).toBe(7)
})

it('what is no time keeps nothing from being counted', async () => {
  const { world, open } = await setup()
  const shell = await open()
  const { run } = await world.bring('running', { priority: 1 })
  await shell.query(
    "UPDATE runs SET status = 'failed', updated_at = 'nonsense' WHERE run_id = $1",
    [run.run_id],
  )
  await foldAll(world)
  const { totals } = await world.metrics.read('')
  expect(totals).toMatchObject({ finished: { failed: 1 }, run_seconds: { sum: 0 } })
})
