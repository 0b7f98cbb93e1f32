/** A queue that prunes stays as large as what it keeps. `npm run bench size` does it at scale. */
import { statSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { pruneAll } from '../../src/upkeep/retention.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { aNewRun } from '../support/factories.ts'
import { openNewFixture } from './fixture.ts'

const ROUNDS = 4
const RUNS = 4000
const parameters = { prompt: 'x'.repeat(1500) }

/** Adds runs and ends them. */
async function fill({ runs, clock }: World): Promise<void> {
  for (let added = 0; added < RUNS; added += 1000) {
    const batch = Array.from({ length: 1000 }, () => aNewRun({ parameters }))
    const stored = await runs.addMany(batch, clock.now())
    await Promise.all(stored.map(({ run }) => runs.stop(run.run_id, clock.now())))
  }
}

it('the file does not grow from round to round of adding, ending and pruning', async () => {
  const world = await openWorld(openNewFixture)
  const path = world.fixture.opener.url.slice('file:'.length)
  const Driver = await loadDriver()
  const other = new Driver(path, { readonly: true })
  onTestFinished(() => void other.close())
  const bytes = other
    .prepare('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size')
    .pluck()
  const filled: number[] = []
  const pruned: number[] = []
  const { signal } = new AbortController()
  for (let round = 0; round < ROUNDS; round++) {
    await fill(world)
    filled.push(Number(bytes.get()))
    const before = world.clock.advance(1)
    const deleted = await pruneAll(world, { before, signal })
    expect(deleted).toMatchObject({ runs: RUNS, sessions: RUNS })
    pruned.push(Number(bytes.get()))
  }
  const first = filled[0] ?? 0
  for (const later of filled) expect(later).toBeLessThan(first * 1.1)
  for (const after of pruned) expect(after).toBeLessThan(first / 2)
  other.close()
  await world.close()
  expect(statSync(path).size).toBeLessThan(first / 2)
})
