import { describe, expect, it } from 'vitest'
import { ACTIVITY_SAMPLE } from '../../src/queue/activity.ts'
import { ENDED_LOOK, SEARCH_LIMIT } from '../../src/queue/overview.ts'
import { ADD_LIMIT } from '../../src/queue/run-queue.ts'
import { aNewRun } from '../support/factories.ts'
import type { Setup } from './world.ts'

const exactly = (count: number) => ({ count, at_least: false })

export function describeOverview(setup: Setup): void {
  describe('standing', () => {
    it('counts what is not at its end, and what waits for its time', async () => {
      const { overview, bring, add, clock } = await setup()
      for (const status of ['completed', 'claimed', 'running', 'running', 'stopping'] as const) {
        await bring(status)
      }
      await add()
      await add({ available_at: clock.ahead(60) })
      expect(await overview.standing()).toEqual({
        pending: exactly(2),
        scheduled: exactly(1),
        claimed: exactly(1),
        running: exactly(2),
        stopping: exactly(1),
      })
    })
  })

  describe('demandGroups', () => {
    it('tells of each demand how many wait, which longest and which is next', async () => {
      const { overview, add, clock } = await setup()
      const gpu = { tags: ['gpu'] }
      const first = await add({ demands: gpu })
      clock.advance(1)
      const free = await add()
      clock.advance(1)
      await add({ demands: gpu })
      const urgent = await add({ demands: gpu, priority: 5 })
      const host = await add({ demands: { hostname: 'alpha', tags: ['a', 'b'] } })
      await add({ demands: { tags: ['later'] }, available_at: clock.ahead(60) })
      const { groups, groups_left_out } = await overview.demandGroups(10)
      expect(groups).toEqual([
        {
          demands: gpu,
          waiting: exactly(3),
          oldest: { run_id: first.run_id, since: first.created_at },
          next_run_id: urgent.run_id,
        },
        {
          demands: null,
          waiting: exactly(1),
          oldest: { run_id: free.run_id, since: free.created_at },
          next_run_id: free.run_id,
        },
        {
          demands: host.demands,
          waiting: exactly(1),
          oldest: { run_id: host.run_id, since: host.created_at },
          next_run_id: host.run_id,
        },
      ])
      expect(groups_left_out).toEqual(exactly(0))
    })

    it('is what has waited longest, where there are more', async () => {
      const { overview, add, clock } = await setup()
      for (const tag of ['c', 'a', 'b']) {
        await add({ demands: { tags: [tag] } })
        clock.advance(1)
      }
      const { groups, groups_left_out } = await overview.demandGroups(2)
      expect(groups.map(({ demands }) => demands?.tags)).toEqual([['c'], ['a']])
      expect(groups_left_out).toEqual(exactly(1))
    })

    it('counts what a run waits from when it can be claimed', async () => {
      const { overview, runs, add, clock } = await setup()
      const later = await add({ available_at: clock.ahead(10) })
      const gpu = await add({ demands: { tags: ['gpu'] } })
      await runs.makeAvailable(clock.advance(11), 10)
      const { groups } = await overview.demandGroups(2)
      expect(groups.map(({ oldest }) => oldest)).toEqual([
        { run_id: gpu.run_id, since: gpu.created_at },
        { run_id: later.run_id, since: clock.now() },
      ])
    })

    it('is empty where nothing waits', async () => {
      const { overview } = await setup()
      expect(await overview.demandGroups(2)).toEqual({
        groups: [],
        groups_left_out: exactly(0),
      })
    })
  })

  describe('ended', () => {
    it('is what ended last, whenever it was added', async () => {
      const { overview, bring, runs: queue, clock } = await setup()
      const first = await bring('running')
      clock.advance(1)
      const stopped = await bring('stopped')
      await bring('running')
      clock.advance(1)
      await queue.complete({ ...first.report, session_status: 'idle', result: null }, clock.now())
      const { runs, looked_back_to } = await overview.ended(10)
      expect(runs.map(({ run_id }) => run_id)).toEqual([first.run.run_id, stopped.run.run_id])
      expect(runs[0]).toMatchObject({ status: 'completed', completed_at: clock.now() })
      expect(looked_back_to).toBeNull()
      expect((await overview.ended(1)).runs).toHaveLength(1)
    })

    it('looks through so many events, and says how far', async () => {
      const { overview, bring, runs, clock } = await setup()
      await bring('completed')
      clock.advance(60)
      for (let added = 0; added < ENDED_LOOK; added += ADD_LIMIT) {
        const many = Array.from({ length: ADD_LIMIT }, () => aNewRun())
        await runs.addMany(many, clock.now())
      }
      expect(await overview.ended(10)).toEqual({ runs: [], looked_back_to: clock.now() })
    })
  })

  describe('activity', () => {
    it('is nothing where nothing happened', async () => {
      const { overview, clock } = await setup()
      const buckets = await overview.activity(clock.ago(120), 60, 2)
      expect(buckets.map(({ at }) => at)).toEqual([clock.ago(120), clock.ago(60)])
      expect(buckets[0]).toMatchObject({ added: 0, completed: 0, wait_median: null, exact: true })
    })

    it('counts what happened in each span, and how long the claimed had waited', async () => {
      const { overview, add, register, claim, runs, bring, clock } = await setup()
      const from = clock.now()
      await add()
      clock.advance(59.999)
      await add()
      clock.advance(0.001)
      const runner = await register()
      const [longest, shorter] = await claim(runner, { limit: 2 })
      const report = { run_id: longest?.run_id ?? '', ...runner, claim_token: null }
      await runs.start(report, clock.now())
      clock.advance(60)
      await runs.fail({ ...report, error: 'broken' }, clock.now())
      await runs.stop(shorter?.run_id ?? '', clock.now())
      clock.advance(60)
      await bring('stopped')
      await bring('completed')
      const buckets = await overview.activity(from, 60, 5)
      const counts = buckets.map(({ added, started, completed, failed, stopped }) => [
        ...[added, started, completed, failed, stopped],
      ])
      expect(counts).toEqual([
        [2, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [2, 2, 1, 0, 1],
        [0, 0, 0, 0, 0],
      ])
      expect(buckets[1]).toMatchObject({ wait_median: 60, wait_p90: 60, seconds: 60 })
      expect(buckets[3]).toMatchObject({ wait_median: 0 })
      expect(buckets[2]).toMatchObject({ wait_median: null })
    })

    it('estimates where there was too much to read', async () => {
      const { overview, runs, clock } = await setup()
      const from = clock.now()
      const count = ACTIVITY_SAMPLE * 5
      const some = (status: 'added' | 'mixed') => Array.from({ length: count }, () => status)
      await runs.addMany(
        some('added').map(() => aNewRun()),
        from,
      )
      clock.advance(60)
      // Two kinds of events in turns, which equal steps would take for one.
      for (let done = 0; done < 150; done += 1) {
        const { run } = await runs.add(aNewRun(), clock.now())
        await runs.stop(run.run_id, clock.now())
      }
      const [first, second] = await overview.activity(from, 60, 2)
      expect(first).toMatchObject({ added: count, stopped: 0, exact: false })
      expect(second?.exact).toBe(false)
      for (const kind of ['added', 'stopped'] as const) {
        expect(second?.[kind]).toBeGreaterThan(110)
        expect(second?.[kind]).toBeLessThan(190)
      }
    })
  })

  describe('search', () => {
    it('finds by text in the prompt, agent and status, newest first', async () => {
      const { overview, add, bring } = await setup()
      const find = async (search: object) =>
        (await overview.search({ limit: 10, ...search })).runs.map(({ run_id }) => run_id)
      const { run: done } = await bring('completed', { agent_name: 'writer' })
      const percent = await add({ parameters: { prompt: 'Save 100% of _it_' } })
      const other = await add({ parameters: { prompt: 'else' }, agent_name: 'writer' })
      expect(await find({ text: 'SAVE 100% OF _IT' })).toEqual([percent.run_id])
      expect(await find({ text: '%' })).toEqual([percent.run_id])
      expect(await find({ agent_name: 'writer' })).toEqual([other.run_id, done.run_id])
      expect(await find({ agent_name: 'writer', statuses: ['completed'] })).toEqual([done.run_id])
      expect(await find({ text: 'else', agent_name: 'nobody' })).toEqual([])
      const { session_id, runner_id } = done
      expect(await find({ session_id })).toEqual([done.run_id])
      expect(await find({ runner_id: runner_id ?? '' })).toEqual([done.run_id])
      expect(await find({ runner_id: runner_id ?? '', agent_name: 'nobody' })).toEqual([])
    })

    it('goes on where a page ended, and gives each once', async () => {
      const { overview, add, runs, clock } = await setup()
      const wanted: string[] = []
      for (let i = 0; i < 4; i += 1) wanted.unshift((await add({ agent_name: 'writer' })).run_id)
      await runs.addMany(
        Array.from({ length: SEARCH_LIMIT }, () => aNewRun()),
        clock.now(),
      )
      wanted.unshift((await add({ agent_name: 'writer' })).run_id)
      const seen: string[][] = []
      let cursor: string | undefined
      do {
        const page = await overview.search({ agent_name: 'writer', limit: 2, cursor })
        seen.push(page.runs.map(({ run_id }) => run_id))
        cursor = page.next_cursor ?? undefined
      } while (cursor !== undefined && seen.length < 10)
      expect(seen.flat()).toEqual(wanted)
      expect(seen.map((page) => page.length)).toEqual([1, 2, 2])
    })

    it('says how far it looked', async () => {
      const { overview, add, clock } = await setup()
      expect(await overview.search({ limit: 1 })).toEqual({
        runs: [],
        next_cursor: null,
        looked_back_to: null,
      })
      const first = await add()
      clock.advance(1)
      await add()
      const found = await overview.search({ agent_name: 'nobody', limit: 1 })
      expect(found).toMatchObject({ next_cursor: null, looked_back_to: first.created_at })
    })
  })
}
