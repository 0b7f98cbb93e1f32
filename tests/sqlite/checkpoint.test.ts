import { existsSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openWorld } from '../conformance/world.ts'
import { aNewRun } from '../support/factories.ts'
import { openNewFixture } from './fixture.ts'

const MB = 1024 * 1024
/** Twice as many pages as may wait to be copied before that begins. */
const MANY_PAGES = 8_000
const aLargeRun = () => aNewRun({ parameters: { prompt: 'x'.repeat(20_000) } })

it('what is committed is copied out of the log while the queue serves, and all of it at close', async () => {
  const { runs, fixture, clock, close, open } = await openWorld(openNewFixture)
  const path = fixture.opener.url.slice('file:'.length)
  const other = new (await loadDriver())(path, { readonly: true })
  onTestFinished(() => void other.close())
  const look = other.prepare('PRAGMA wal_checkpoint(NOOP)')
  let added = 0
  let longest = 0
  for (;;) {
    for (let i = 0; i < 40; i++) await runs.add(aLargeRun(), clock.now())
    added += 40
    const { log, checkpointed } = look.get() as { log: number; checkpointed: number }
    // So that it does not grow without end, it begins anew.
    if (log < longest) break
    longest = log
    expect(added, 'runs added without a checkpoint').toBeLessThan(20_000)
    // The copying is a thread's work; let it have the processor, more of it where it is behind.
    await sleep(log - checkpointed > MANY_PAGES ? 100 : 5)
  }
  expect(statSync(path).size).toBeGreaterThan(MB)
  other.close()
  await close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  const again = await open()
  const page = await again.runs.list({ limit: 1000 })
  expect(page.runs).toHaveLength(Math.min(added, 1000))
})
