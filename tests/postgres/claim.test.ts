/** Claims, and what else is decided once, where several are at it in the same moment. */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Connection } from '../../src/postgres/database.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { aNewRun, someTokens } from '../support/factories.ts'
import { openFixture, openShell } from './fixture.ts'

async function openWithShell(): Promise<{ world: World; shell: pg.Client }> {
  const world = await openWorld(openFixture)
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  return { world, shell }
}

/** As a claim holds it that is under way. */
async function lock(shell: pg.Client, ...run_ids: string[]): Promise<void> {
  await shell.query('BEGIN')
  await shell.query('SELECT 1 FROM runs WHERE run_id = ANY($1) FOR UPDATE', [run_ids])
}

describe('a claim', () => {
  it('passes over runs that another holds locked, to the next of the same demands', async () => {
    const { world, shell } = await openWithShell()
    const demands = { tags: ['a'] }
    const runs = []
    for (let i = 0; i < 40; i++) runs.push(await world.add({ demands }))
    const runner = await world.register({ tags: ['a'] })
    // More than it looks at first.
    await lock(shell, ...runs.slice(0, 30).map(({ run_id }) => run_id))
    expect(await world.claim(runner)).toMatchObject([{ run_id: runs[30]?.run_id }])
    await shell.query('ROLLBACK')
    expect(await world.claim(runner)).toMatchObject([{ run_id: runs[0]?.run_id }])
  })

  it('takes the oldest of all that are free, not of the first group', async () => {
    const { world, shell } = await openWithShell()
    const first = await world.add({ demands: { tags: ['a'] } })
    world.clock.advance(1)
    const second = await world.add({ demands: { tags: ['b'] } })
    world.clock.advance(1)
    await world.add({ demands: { tags: ['a'] } })
    const runner = await world.register({ tags: ['a', 'b'] })
    await lock(shell, first.run_id)
    expect(await world.claim(runner)).toMatchObject([{ run_id: second.run_id }])
  })

  it('locks no more than it takes', async () => {
    const { world, shell } = await openWithShell()
    for (const tag of ['a', 'b', 'c']) await world.add({ demands: { tags: [tag] } })
    const runner = await world.register({ tags: ['a', 'b', 'c'] })
    await world.claim(runner)
    const { rows } = await shell.query("SELECT xmax FROM runs WHERE status = 'pending'")
    expect(rows).toEqual([{ xmax: '0' }, { xmax: '0' }])
  })

  it('gets the last run though another holds it for a moment', async () => {
    const { world, shell } = await openWithShell()
    const { run_id } = await world.add()
    const runner = await world.register()
    await lock(shell, run_id)
    // The other lets go of it just when the claim has looked in vain for the first time.
    const query = Connection.prototype.query
    const looked = vi.spyOn(Connection.prototype, 'query').mockImplementationOnce(async function (
      this: Connection,
      ...given
    ) {
      const answer = await query.apply(this, given)
      await shell.query('ROLLBACK')
      return answer
    })
    onTestFinished(() => looked.mockRestore())
    expect(await world.claim(runner)).toMatchObject([{ run_id }])
    expect(looked).toHaveBeenCalledTimes(2)
  })

  it('gets nothing, without waiting for long, where another keeps hold of the last run', async () => {
    const { world, shell } = await openWithShell()
    const { run_id } = await world.add()
    const runner = await world.register()
    await lock(shell, run_id)
    const began = performance.now()
    expect(await world.claim(runner)).toEqual([])
    // To wait for a lock takes 10 s at most.
    expect(performance.now() - began).toBeLessThan(4000)
  })

  it('by many at once gets as many runs as there are, each one', async () => {
    const world = await openWorld(openFixture)
    const runners = []
    for (let i = 0; i < 16; i++) runners.push(await world.register({ tags: ['a', 'b'] }))
    for (let round = 0; round < 10; round++) {
      const batch = runners.map((_, i) => aNewRun({ demands: { tags: [i % 2 ? 'a' : 'b'] } }))
      await world.runs.addMany(batch, world.clock.advance(1))
      const claimed = await Promise.all(runners.map((runner) => world.claim(runner)))
      expect(claimed.map((runs) => runs.length)).toEqual(runners.map(() => 1))
      expect(new Set(claimed.flat().map(({ run_id }) => run_id)).size).toBe(16)
    }
  })

  it('made twice at once with one key gets the same runs', async () => {
    const world = await openWorld(openFixture)
    const other = await world.open()
    const runner = await world.register()
    for (let i = 0; i < 10; i++) await world.add()
    for (const claim_key of ['k1', 'k2', 'k3']) {
      const claim = { runner_id: runner.runner_id, limit: 2, claim_key }
      const now = world.clock.now()
      const [one, two] = await Promise.all(
        [world, other].map(({ runs }) => runs.claim({ ...claim, tokens: someTokens(2) }, now)),
      )
      expect(one).toHaveLength(2)
      expect(two).toEqual(one)
    }
  })

  it('by a runner that is removed meanwhile leaves no run with it', async () => {
    const world = await openWorld(openFixture)
    const other = await world.open()
    for (let round = 0; round < 20; round++) {
      const runner = await world.register()
      for (let i = 0; i < 3; i++) await world.add()
      const now = world.clock.now()
      await Promise.all([
        ...Array.from({ length: 3 }, () => world.claim(runner)),
        pause(Math.random() * 4).then(() => other.runners.remove(runner.runner_id, now)),
      ])
      expect(await world.runs.active(10)).toEqual([])
    }
  })
})

describe('decided once, in whatever moment two ask', () => {
  it('a session that is started', async () => {
    const world = await openWorld(openFixture)
    const run = () => aNewRun({ session_id: 'ses_one' })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => world.runs.add(run(), world.clock.now())),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await world.runs.pending(10)).toHaveLength(1)
  })

  it('a request with an idempotency key', async () => {
    const world = await openWorld(openFixture)
    const idempotency = { key: 'k', fingerprint: 'f' }
    const added = await Promise.all(
      Array.from({ length: 6 }, () => world.runs.add(aNewRun({ idempotency }), world.clock.now())),
    )
    expect(added.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(added.map(({ run }) => run.run_id)).size).toBe(1)
    expect(await world.runs.pending(10)).toHaveLength(1)
    expect((await world.sessions.list({ limit: 10 })).sessions).toHaveLength(1)
  })

  it('a retry', async () => {
    const world = await openWorld(openFixture)
    const { run } = await world.bring('failed')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4 }, (_, i) =>
        world.runs.retry(run.run_id, `run_again_${i}`, world.clock.now()),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await world.runs.pending(10)).toHaveLength(1)
  })

  it('stops that are handed out, and sweeps', async () => {
    const world = await openWorld(openFixture)
    const other = await world.open()
    const runner = await world.register()
    for (let i = 0; i < 8; i++) await world.bring(i % 2 ? 'stopping' : 'claimed', {}, runner)
    const now = world.clock.now()
    const both = [world, other, world, other]
    const stops = await Promise.all(
      both.map(({ runs }) => runs.takeStops(runner.runner_id, now, world.clock.ago(60))),
    )
    expect(stops.flatMap(({ run_ids }) => run_ids)).toHaveLength(4)
    const swept = await Promise.all(both.map(({ runs }) => runs.releaseUnstarted(now, now, 3)))
    const released = swept.flat().map(({ run_id }) => run_id)
    expect(new Set(released).size).toBe(released.length)
    expect(released).toHaveLength(4)
  })
})
