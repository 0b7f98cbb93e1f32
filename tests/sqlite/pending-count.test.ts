/** The number of pending runs is kept from when a bound first asks for it, whoever changes runs. */
import { expect, it, onTestFinished } from 'vitest'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openWorld } from '../conformance/world.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import { openFixture } from './fixture.ts'

it('is kept by a first request that is refused too, and stays right', async () => {
  const { add, runs, claim, register, clock, fixture } = await openWorld(openFixture)
  const Driver = await loadDriver()
  const shell = new Driver(fixture.opener.url.slice('file:'.length))
  onTestFinished(() => void shell.close())
  shell.pragma('foreign_keys = ON')
  const kept = () =>
    shell.prepare("SELECT value FROM counters WHERE name = 'pending'").pluck().get()
  const counted = () =>
    shell.prepare("SELECT count(*) FROM runs WHERE status = 'pending'").pluck().get()

  for (let i = 0; i < 3; i++) await add({ available_at: i ? null : clock.ahead(5) })
  await runs.add(aNewRun(), clock.now(), { max_pending: null })
  expect(kept()).toBeUndefined()
  await refusal(runs.add(aNewRun(), clock.now(), { max_pending: 4 }), 'queue_full')
  expect(kept()).toBe(4)

  const [claimed] = await claim(await register())
  expect([kept(), counted()]).toEqual([3, 3])
  shell.exec(`UPDATE runs SET status = 'pending' WHERE run_id = '${claimed?.run_id}'`)
  expect([kept(), counted()]).toEqual([4, 4])
  shell.exec('DELETE FROM sessions')
  expect([kept(), counted()]).toEqual([0, 0])
})
