import { existsSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openWorld } from '../conformance/world.ts'
import { aNewRun } from '../support/factories.ts'
import { openNewFixture } from './fixture.ts'

const MB = 1024 * 1024
const aLargeRun = () => aNewRun({ parameters: { prompt: 'x'.repeat(20_000) } })

it('what is committed is copied out of the log while the queue serves, and all of it at close', async () => {
  const { runs, fixture, clock, close, open } = await openWorld(openNewFixture)
  const path = fixture.opener.url.slice('file:'.length)
  let added = 0
  while (statSync(path).size < MB) {
    expect(added, 'runs added without a checkpoint').toBeLessThan(4000)
    for (let i = 0; i < 40; i++) await runs.add(aLargeRun(), clock.now())
    added += 40
    // The copying is a thread's work; let it have the processor.
    await sleep(5)
  }
  expect(statSync(`${path}-wal`).size).toBeLessThan(64 * MB)
  await close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  const again = await open()
  const page = await again.runs.list({ limit: 1000 })
  expect(page.runs).toHaveLength(Math.min(added, 1000))
})
