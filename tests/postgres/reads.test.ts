/** Those who look leave connections to those who work. */
import { expect, it } from 'vitest'
import { openWorld } from '../conformance/world.ts'
import { openNewFixture, openShell } from './fixture.ts'

it('however many look at once, they hold three connections', async () => {
  const fixture = await openNewFixture()
  const shell = await openShell(fixture.opener.url)
  try {
    const world = await openWorld(async () => fixture)
    const before = await connections()
    const opened = async () => (await connections()) - before
    const look = () => Promise.all(Array.from({ length: 40 }, () => world.overview.standing()))
    await look()
    // The first may have answered all before the last was open.
    await expect.poll(opened).toBe(3)
    await look()
    expect(await opened()).toBe(3)
    await Promise.all(Array.from({ length: 40 }, () => world.sessions.get('ses_unknown')))
    await expect.poll(opened).toBe(10)
    await world.close()
  } finally {
    await shell.end()
  }

  async function connections(): Promise<number> {
    const { rows } = await shell.query(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'runqueue'",
    )
    return rows[0].count
  }
})
