/** What comes at one moment goes in one statement; each call has its own outcome all the same. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Connection, Database, targetOf } from '../../src/postgres/database.ts'
import { Together } from '../../src/postgres/together.ts'
import { openWorld } from '../conformance/world.ts'
import { refusal } from '../support/errors.ts'
import { openFixture, openShell } from './fixture.ts'

const COUNT = 12

async function openCounted() {
  const world = await openWorld(openFixture)
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  const query = vi.spyOn(Connection.prototype, 'query')
  onTestFinished(() => query.mockRestore())
  return { world, shell, query }
}

describe('at one moment', () => {
  it('claims and reports share statements', async () => {
    const { world, query } = await openCounted()
    const runners = []
    for (let i = 0; i < COUNT; i++) {
      runners.push(await world.register({ hostname: `host-${i}` }))
      await world.add()
    }
    query.mockClear()
    const claims = await Promise.all(runners.map((runner) => world.claim(runner)))
    expect(new Set(claims.flat().map(({ run_id }) => run_id)).size).toBe(COUNT)
    expect(query).toHaveBeenCalledTimes(1)
    query.mockClear()
    await Promise.all(
      claims.flat().map(({ run_id, runner_id, claim_token }) => {
        const report = { run_id, runner_id: runner_id ?? '', claim_token }
        const outcome = {
          session_status: 'finished' as const,
          result: { text: run_id, data: null },
        }
        return world.runs.complete({ ...report, ...outcome }, world.clock.now())
      }),
    )
    expect(query).toHaveBeenCalledTimes(1)
    for (const { run_id } of claims.flat()) {
      expect(await world.runs.get(run_id)).toMatchObject({
        ...{ status: 'completed', result: { text: run_id, data: null } },
      })
    }
  })

  it('a report that is refused, or waits for a lock, is no matter of the others', async () => {
    const { world, shell } = await openCounted()
    const [first, locked] = [await world.bring('claimed'), await world.bring('claimed')]
    const others = [await world.bring('claimed'), await world.bring('claimed')]
    await shell.query('BEGIN')
    await shell.query('SELECT 1 FROM runs WHERE run_id = $1 FOR UPDATE', [locked.run.run_id])
    const now = world.clock.now()
    const refused = refusal(
      world.runs.start({ ...first.report, claim_token: 'outdated' }, now),
      'claim_token_mismatch',
    )
    let isDone = false
    const waiting = world.runs.start(locked.report, now).then(() => {
      isDone = true
    })
    await Promise.all([refused, ...others.map(({ report }) => world.runs.start(report, now))])
    expect(isDone).toBe(false)
    await shell.query('ROLLBACK')
    await waiting
    expect(await world.runNow(locked.run)).toMatchObject({ status: 'running' })
  })

  it('what fails for the sake of one is done again for each alone', async () => {
    const batches: number[][] = []
    const together = new Together(async (batch: number[]) => {
      batches.push(batch)
      if (batch.includes(13)) throw new Error('no thirteens')
      return batch.map((n) => n * 2)
    })
    const asked = await Promise.allSettled([1, 13, 3].map((n) => together.ask(n)))
    expect(asked.map((one) => (one.status === 'fulfilled' ? one.value : 'failed'))).toEqual([
      ...[2, 'failed', 6],
    ])
    expect(batches).toEqual([[1, 13, 3], [1], [13], [3]])
  })
})

it('a connection that is cut between two statements is told to the operation, and ends nothing', async () => {
  const { world, shell } = await openCounted()
  const database = new Database(targetOf(world.fixture.opener.url, 'normal'))
  onTestFinished(() => database.close())
  const cut = database.transaction(async (on) => {
    const { rows } = await on.query({ text: 'SELECT pg_backend_pid() AS pid' })
    await shell.query('SELECT pg_terminate_backend($1, 5000)', [rows[0].pid])
    // Long enough for the end of the connection to be seen.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await on.query({ text: 'SELECT 1' })
  })
  await expect(cut).rejects.toMatchObject({ code: 'database_unavailable' })
})
