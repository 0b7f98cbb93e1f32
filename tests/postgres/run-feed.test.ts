/** The feeds where transactions become visible in another order than their events were numbered. */
import type pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import type { Feed, FeedItem } from '../../src/queue/feed.ts'
import type { LiveRunEvent } from '../../src/queue/run-event.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { refusal } from '../support/errors.ts'
import { openFixture, openShell } from './fixture.ts'

async function openWithShells() {
  const world = await openWorld(openFixture)
  const { url } = world.fixture.opener
  const shells: [pg.Client, pg.Client] = [await openShell(url), await openShell(url)]
  onTestFinished(async () => {
    for (const shell of shells) await shell.end()
  })
  return { world, slow: shells[0], quick: shells[1] }
}

const setDemands = (shell: pg.Client, ...run_ids: string[]) =>
  shell.query(`UPDATE runs SET demands = '{"hostname":"h"}' WHERE run_id = ANY($1)`, [run_ids])
/** Begins, with a transaction id of its own, before any event. */
const begin = async (shell: pg.Client): Promise<number> => {
  await shell.query('BEGIN')
  return Number((await shell.query('SELECT pg_current_xact_id()::text AS xid')).rows[0].xid)
}

async function readAll<T>(feed: Feed<T>, from: string): Promise<FeedItem<T>[]> {
  let page = await feed.read(from)
  const items = [...page.items]
  while (page.more) {
    page = await feed.read(page.next)
    items.push(...page.items)
  }
  return items
}
const ids = (items: FeedItem<LiveRunEvent>[]) => items.map(({ item }) => item.run_id)
const three = async ({ add }: World) => [await add(), await add(), await add()] as const

it('what commits late is told late, not missed, and nothing is told twice', async () => {
  const { world, slow, quick } = await openWithShells()
  const { runFeed } = world
  const [first, second, third] = await three(world)
  const from = await runFeed.end()
  await begin(slow)
  await setDemands(slow, first.run_id)
  await setDemands(quick, second.run_id)
  const before = await runFeed.read(from)
  expect(ids(before.items)).toEqual([second.run_id])
  await setDemands(quick, third.run_id)
  await slow.query('COMMIT')
  expect(ids(await readAll(runFeed, before.next))).toEqual([first.run_id, third.run_id])
  expect(ids(await readAll(runFeed, before.items[0]?.place ?? ''))).toEqual([
    first.run_id,
    third.run_id,
  ])
  expect(ids(await readAll(runFeed, from))).toEqual([first.run_id, second.run_id, third.run_id])
})

it('… so is what began after the latest that had ended, with a lower id', async () => {
  const { world, slow, quick } = await openWithShells()
  const { runFeed } = world
  const [first, second] = await three(world)
  for (let attempts = 0; attempts < 50; attempts += 1) {
    await begin(quick)
    const began = await begin(slow)
    await setDemands(slow, first.run_id)
    await setDemands(quick, second.run_id)
    await quick.query('COMMIT')
    const place = await runFeed.end()
    await slow.query('COMMIT')
    const told = ids(await readAll(runFeed, place))
    expect(told).toEqual([first.run_id])
    // The snapshot of the place knew nothing of it, unless another test had ended something later.
    const [, xmax] = place.split(':')
    if (Number(xmax) <= began) return
    await slow.query('UPDATE runs SET demands = NULL')
  }
  throw new Error('what this test is about did not happen')
})

it('a place within a page stays exact while more is committed', async () => {
  const { world, slow, quick } = await openWithShells()
  const { runFeed } = world
  const [first, second, third] = await three(world)
  const from = await runFeed.end()
  await begin(slow)
  await setDemands(slow, first.run_id)
  await setDemands(quick, second.run_id, third.run_id)
  const page = await runFeed.read(from)
  const [one, two] = ids(page.items)
  await slow.query('COMMIT')
  await setDemands(quick, first.run_id)
  await quick.query(`UPDATE runs SET demands = NULL WHERE run_id = $1`, [first.run_id])
  const rest = ids(await readAll(runFeed, page.items[0]?.place ?? ''))
  expect([one, two].sort()).toEqual([second.run_id, third.run_id].sort())
  expect(rest).toEqual([two, first.run_id, first.run_id])
})

it('a place of the future is none', async () => {
  const { world, slow } = await openWithShells()
  const { rows } = await slow.query('SELECT (pg_current_xact_id()::text::bigint + 1000) AS later')
  const later = rows[0].later
  for (const place of [
    `1.${later}:${later}:`,
    `1.1:1:.${later}:${later}:.1`,
    '1.5:3:',
    '1.1:9:7,2',
  ]) {
    await refusal(world.runFeed.read(place), 'unknown_event_id')
  }
})

it('changes of sessions are numbered as they are committed', async () => {
  const { world, slow, quick } = await openWithShells()
  const { sessionFeed } = world
  const [first, second] = await three(world)
  await sessionFeed.keep(world.clock.now())
  const from = await sessionFeed.end()
  const rename = (shell: pg.Client, session_id: string) =>
    shell.query(`UPDATE sessions SET agent_name = 'new' WHERE session_id = $1`, [session_id])
  await begin(slow)
  await rename(slow, first.session_id)
  await rename(quick, second.session_id)
  const before = await sessionFeed.read(from)
  expect(before.items.map(({ item }) => item.session_id)).toEqual([second.session_id])
  await slow.query('COMMIT')
  const rest = await readAll(sessionFeed, before.next)
  expect(rest.map(({ item }) => item.session_id)).toEqual([first.session_id])
  const sequences = [...before.items, ...rest].map(({ item }) => item.sequence)
  expect(sequences).toEqual([Number(from) + 1, Number(from) + 2])
})

it('only the latest changes of sessions are kept, and their numbers never come back', async () => {
  const { world, quick } = await openWithShells()
  const { sessionFeed } = world
  const { session_id } = await world.add()
  await sessionFeed.keep(world.clock.now())
  await quick.query(
    "SELECT tell_session_change('session_deleted', $1, NULL, NULL) FROM generate_series(1, 10020)",
    [session_id],
  )
  const kept = await readAll(sessionFeed, '0')
  expect(kept.length).toBe(10_000)
  const [first = 0, last = 0] = [kept.at(0), kept.at(-1)].map((one) => one?.item.sequence)
  expect(await sessionFeed.isWhole(String(first - 1))).toBe(true)
  expect(await sessionFeed.isWhole(String(first - 2))).toBe(false)
  await quick.query('DELETE FROM session_changes')
  expect(await sessionFeed.end()).toBe(String(last))
})

it('those who begin to follow sessions wait for what is under way, and then miss nothing', async () => {
  const { world, slow } = await openWithShells()
  const { session_id } = await world.add()
  await begin(slow)
  await slow.query(`UPDATE sessions SET agent_name = 'new' WHERE session_id = $1`, [session_id])
  const end = world.sessionFeed.keep(world.clock.now()).then(() => world.sessionFeed.end())
  await slow.query('COMMIT')
  expect((await world.sessionFeed.read(await end)).items).toEqual([])
  expect((await world.sessionNow({ session_id })).agent_name).toBe('new')
})
