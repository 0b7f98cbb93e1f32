import { describe, expect, it } from 'vitest'
import { RUN_STATUSES, type RunStatus } from '../../src/queue/run.ts'
import type { RunFilter } from '../../src/queue/run-queue.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

/** All run ids that the filter gives, page by page. */
async function allPages({ runs }: World, filter: RunFilter): Promise<string[]> {
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await runs.list({ ...filter, cursor })
    expect(page.runs.length).toBeLessThanOrEqual(filter.limit)
    seen.push(...page.runs.map(({ run_id }) => run_id))
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined && seen.length < 10_000)
  return seen
}

/** Two runs of each status, all of the same instant, newest first. */
async function twoOfEach({ bring }: World): Promise<{ run_id: string; status: RunStatus }[]> {
  const added: { run_id: string; status: RunStatus }[] = []
  const order = [...RUN_STATUSES].reverse()
  for (const status of order.flatMap((one) => [one, one])) {
    // A pending run that is urgent for nobody is not claimed in place of a later one.
    const facts = status === 'pending' ? { demands: { tags: ['nobody'] } } : {}
    const { run } = await bring(status, facts)
    added.unshift({ run_id: run.run_id, status })
  }
  return added
}

export function describeLists(setup: Setup): void {
  describe('get', () => {
    it('gives null for a run that does not exist', async () => {
      expect(await (await setup()).runs.get('run_unknown')).toBeNull()
    })
  })

  describe('pending', () => {
    it('lists in claim order, up to a limit, and nothing that is not pending', async () => {
      const { add, bring, runs, clock } = await setup()
      await bring('completed')
      await bring('claimed')
      const ids: string[] = []
      for (const priority of [0, 3, 0, -1, 3]) {
        ids.push((await add({ priority, demands: { tags: [`t${priority}`] } })).run_id)
        clock.advance(1)
      }
      const expected = [1, 4, 0, 2, 3].map((i) => ids[i])
      const listed = async (limit: number) =>
        (await runs.pending(limit)).map(({ run_id }) => run_id)
      expect(await listed(10)).toEqual(expected)
      expect(await listed(3)).toEqual(expected.slice(0, 3))
    })
  })

  describe('active', () => {
    it('lists what runners hold, oldest first, up to a limit', async () => {
      const { bring, runs, clock } = await setup()
      const ids: string[] = []
      for (const status of ['running', 'completed', 'stopping', 'failed', 'claimed'] as const) {
        const { run } = await bring(status)
        if (['running', 'stopping', 'claimed'].includes(status)) ids.push(run.run_id)
        clock.advance(1)
      }
      const { run } = await bring('pending')
      expect(run.status).toBe('pending')
      const listed = async (limit: number) => (await runs.active(limit)).map((one) => one.run_id)
      expect(await listed(10)).toEqual(ids)
      expect(await listed(2)).toEqual(ids.slice(0, 2))
    })
  })

  describe('activeOfSession', () => {
    it('is the newest run of the session that has not ended', async () => {
      const { add, bring, runs } = await setup()
      const { run } = await bring('completed')
      const { session_id } = run
      expect(await runs.activeOfSession(session_id)).toBeNull()
      await add({ type: 'resume_session', session_id })
      const newest = await add({ type: 'resume_session', session_id })
      await add()
      expect(await runs.activeOfSession(session_id)).toEqual(newest)
      expect(await runs.activeOfSession('ses_unknown')).toBeNull()
    })

    it.each(['pending', 'claimed', 'running', 'stopping'] as const)('may be %s', async (status) => {
      const { bring, runs } = await setup()
      const { run } = await bring(status)
      expect(await runs.activeOfSession(run.session_id)).toEqual(run)
    })
  })

  describe('list', () => {
    it('gives all runs newest first', async () => {
      const { runs, clock } = await setup()
      // Added in another order than their age.
      const ids = new Map<number, string>()
      for (const age of [2, 5, 1, 4]) {
        ids.set(age, (await runs.add(aNewRun(), clock.ago(age))).run.run_id)
      }
      const listed = await runs.list({ limit: 10 })
      expect(listed.runs.map(({ run_id }) => run_id)).toEqual([1, 2, 4, 5].map((a) => ids.get(a)))
      expect(listed.next_cursor).toBeNull()
    })

    it.each([1, 7, 100, 250, 251])(
      'pages through 250 runs of few instants, %i at a time, each once',
      async (limit) => {
        const world = await setup()
        const batch = Array.from({ length: 50 }, () => Array.from({ length: 5 }, () => aNewRun()))
        for (const [i, some] of batch.entries()) {
          await world.runs.addMany(some, world.clock.now())
          if (i % 20 === 19) world.clock.advance(1)
        }
        const ids = batch.flat().map(({ run_id }) => run_id)
        expect(await allPages(world, { limit })).toEqual(ids.reverse())
      },
    )

    it('gives a page that runs added meanwhile do not shift', async () => {
      const { add, runs } = await setup()
      for (let i = 0; i < 4; i++) await add()
      const first = await runs.list({ limit: 2 })
      await add()
      const second = await runs.list({ limit: 2, cursor: first.next_cursor ?? '' })
      const ids = [...first.runs, ...second.runs].map(({ run_id }) => run_id)
      expect(new Set(ids).size).toBe(4)
      expect(second.next_cursor).toBeNull()
    })

    it('filters by status, one or several', async () => {
      const world = await setup()
      const added = await twoOfEach(world)
      const some: RunStatus[][] = [
        ...RUN_STATUSES.map((status) => [status]),
        ['failed', 'pending'],
        ['running', 'claimed', 'completed'],
        [...RUN_STATUSES],
        [],
      ]
      for (const statuses of some) {
        const expected = added.filter(({ status }) => statuses.includes(status))
        for (const limit of [1, 3, 100]) {
          expect(await allPages(world, { statuses, limit })).toEqual(
            expected.map(({ run_id }) => run_id),
          )
        }
      }
    })

    it('gives a run once, however often its status is named', async () => {
      const { add, runs } = await setup()
      await add()
      const { runs: listed } = await runs.list({ statuses: ['pending', 'pending'], limit: 10 })
      expect(listed).toHaveLength(1)
    })

    it('filters by session, by runner and by both, with and without statuses', async () => {
      const world = await setup()
      const { bring, register } = world
      const [one, two] = [await register(), await register()]
      const { run: first } = await bring('completed', {}, one)
      const { session_id } = first
      const again = { type: 'resume_session', session_id } as const
      const { run: second } = await bring('failed', again, two)
      const { run: third } = await bring('running', again, one)
      const { run: other } = await bring('running', {}, one)
      const list = (filter: Omit<RunFilter, 'limit'>) => allPages(world, { ...filter, limit: 2 })
      const ids = [first, second, third, other].map(({ run_id }) => run_id)
      const [a, b, c, d] = ids
      const { runner_id } = one
      expect(await list({ session_id })).toEqual([c, b, a])
      expect(await list({ runner_id })).toEqual([d, c, a])
      expect(await list({ session_id, runner_id })).toEqual([c, a])
      expect(await list({ session_id, statuses: ['running', 'failed'] })).toEqual([c, b])
      expect(await list({ runner_id, statuses: ['running'] })).toEqual([d, c])
      expect(await list({ session_id, runner_id, statuses: ['completed'] })).toEqual([a])
      expect(await list({ session_id, runner_id, statuses: ['pending'] })).toEqual([])
      expect(await list({ session_id: 'ses_unknown' })).toEqual([])
      expect(await list({ runner_id: 'lnch_unknown' })).toEqual([])
    })

    it('refuses a cursor that is none', async () => {
      const { runs, add } = await setup()
      await add()
      for (const cursor of ['', 'x', '%%%', '12', '{"seq":1}']) {
        await refusal(runs.list({ limit: 2, cursor }), 'invalid_cursor')
      }
    })
  })
}
