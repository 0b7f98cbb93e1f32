/** Why a run does not start, and why a runner gets nothing. */
import { describe, expect, it } from 'vitest'
import { INSIGHT_LIMIT, NAMED_LIMIT } from '../../src/queue/insight.ts'
import { refusal } from '../support/errors.ts'
import { aNewRun, aNewRunner } from '../support/factories.ts'
import type { Setup, World } from './world.ts'

export const TERMS = { stale_seconds: 120, remove_seconds: 600, claim_timeout_seconds: 60 }

const explain = ({ insight, clock }: World, { run_id }: { run_id: string }) =>
  insight.explainRun(run_id, TERMS, clock.now())
const explainRunner = ({ insight, clock }: World, { runner_id }: { runner_id: string }) =>
  insight.explainRunner(runner_id, TERMS, clock.now())

export function describeInsight(setup: Setup): void {
  describe('explainRun', () => {
    it('knows no run that is not there', async () => {
      const world = await setup()
      await refusal(explain(world, { run_id: 'run_unknown' }), 'run_not_found')
    })

    it('says that nobody is there', async () => {
      const world = await setup()
      expect(await explain(world, await world.add())).toMatchObject({
        status: 'pending',
        summary: 'Pending: no claimable run comes before it.',
        reasons: ['No runner online could take it: no runner is registered.'],
        outlook: 'It waits for a runner as long as it takes.',
        ahead: { count: 0, at_least: false },
        matching_runners: { count: 0, at_least: false },
        runners: [],
        runners_left_out: { count: 0, at_least: false },
      })
    })

    it('compares each demand with each runner, the nearest first', async () => {
      const world = await setup()
      const far = await world.register({ hostname: 'b', executor_profile: 'x' })
      const near = await world.register({ hostname: 'a', tags: ['eu'] })
      const choosy = await world.register({ hostname: 'a', require_matching_tags: true })
      const run = await world.add({ demands: { hostname: 'a', tags: ['eu', 'gpu'] } })
      const told = await explain(world, run)
      expect(told.runners.map(({ runner_id, summary }) => [runner_id, summary])).toEqual([
        [near.runner_id, 'tag gpu is missing'],
        [
          choosy.runner_id,
          'tags eu and gpu are missing; it takes only runs that demand one of its tags, and has none',
        ],
        [far.runner_id, 'hostname is b, not a; tags eu and gpu are missing'],
      ])
      expect(told.runners[1]?.conditions).toEqual([
        { demand: 'hostname', wanted: 'a', offered: 'a', met: true },
        { demand: 'tags', wanted: ['eu', 'gpu'], offered: [], met: false },
        { demand: 'require_matching_tags', wanted: [], offered: ['eu', 'gpu'], met: false },
      ])
      expect(told.reasons).toEqual([
        'No runner online could take it: no registered runner has tag gpu.',
        `Nearest is runner ${near.runner_id} on a (online): tag gpu is missing.`,
      ])
      expect(told.outlook).toBe('It fails at 12:05:00 UTC unless a runner claims it before.')
    })

    it('tells who offered it before', async () => {
      const world = await setup()
      const { clock, runners } = world
      const gone = await world.register({ hostname: 'b', tags: ['gpu'] })
      const marked = await world.register({ hostname: 'c', tags: ['big'] })
      await runners.deregister(marked.runner_id, clock.now())
      clock.advance(120)
      const here = await world.register({ hostname: 'a' })
      const told = await explain(world, await world.add({ demands: { tags: ['gpu', 'big'] } }))
      expect(told.runners.map(({ runner_id, state }) => [runner_id, state])).toEqual([
        [here.runner_id, 'online'],
        [gone.runner_id, 'stale'],
        [marked.runner_id, 'deregistered'],
      ])
      expect(told.reasons).toEqual([
        'No runner online could take it: no registered runner has tag big.',
        `Nearest is runner ${here.runner_id} on a (online): tags big and gpu are missing.`,
        `Of those online none has tag big; runner ${marked.runner_id} on c offered it until 12:00:00 UTC.`,
        `Of those online none has tag gpu; runner ${gone.runner_id} on b offered it until 12:00:00 UTC.`,
      ])
    })

    it('says what keeps the runners that could take it', async () => {
      const world = await setup()
      const busy = await world.register({ hostname: 'busy' })
      const held = await world.bring('running', {}, busy)
      const first = await world.add()
      const run = await world.add()
      const told = await explain(world, run)
      expect(told).toMatchObject({
        summary: 'Pending: 1 claimable run comes before it.',
        ahead: { count: 1, at_least: false },
        reasons: [
          '1 runner online could take it.',
          `Runner ${busy.runner_id} on busy gets ${first.run_id} first; holds 1 run: ${held.run.run_id} (running).`,
        ],
        runners: [
          {
            runner_id: busy.runner_id,
            satisfies: true,
            next_run_id: first.run_id,
            holds: [{ run_id: held.run.run_id, status: 'running', since: world.clock.now() }],
            holds_left_out: 0,
          },
        ],
      })
      const idle = await world.register({ hostname: 'idle' })
      await world.claim(idle)
      await world.runs.stop(first.run_id, world.clock.now())
      await world.runners.remove(idle.runner_id, world.clock.now())
      expect((await explain(world, run)).runners).toMatchObject([
        { summary: `gets it with its next claim; holds 1 run: ${held.run.run_id} (running)` },
      ])
    })

    it('says that a stale runner could take it', async () => {
      const world = await setup()
      const { runner_id } = await world.register({ hostname: 'old' })
      world.clock.advance(120)
      const told = await explain(world, await world.add())
      expect(told.reasons).toEqual([
        'No runner online could take it: old could take it, but its runner is stale.',
        `Nearest is runner ${runner_id} on old (stale): last heard of at 12:00:00 UTC.`,
      ])
    })

    it('names the nearest only, and counts the others', async () => {
      const world = await setup()
      for (let i = 0; i < NAMED_LIMIT + 3; i++) await world.register()
      const told = await explain(world, await world.add())
      expect(told.runners).toHaveLength(NAMED_LIMIT)
      expect(told.runners_left_out).toEqual({ count: 3, at_least: false })
      expect(told.matching_runners).toEqual({ count: NAMED_LIMIT + 3, at_least: false })
    })

    it('counts those before it so far and no further', async () => {
      const world = await setup()
      const many = Array.from({ length: INSIGHT_LIMIT }, (_, i) =>
        aNewRun({ demands: { hostname: `host-${i % 7}` }, priority: i % 2 }),
      )
      await world.runs.addMany(many, world.clock.now())
      const run = await world.add({ priority: 1 })
      expect((await explain(world, run)).ahead).toEqual({ count: 500, at_least: false })
      const last = await world.add()
      const told = await explain(world, last)
      expect(told.ahead).toEqual({ count: INSIGHT_LIMIT, at_least: true })
      expect(told.summary).toBe('Pending: at least 1000 claimable runs come before it.')
    })

    it('tells how a run stands that waits for its time', async () => {
      const world = await setup()
      const { clock } = world
      await world.register()
      const run = await world.add({ available_at: clock.ahead(60) })
      expect(await explain(world, run)).toMatchObject({
        summary: 'Pending: it waits for its time, and is claimable from 12:01:00 UTC on.',
        ahead: null,
        runners: [{ summary: 'could take it' }],
      })
      clock.advance(60)
      expect((await explain(world, run)).summary).toBe(
        'Pending: its time came at 12:01:00 UTC, and it is claimable within moments.',
      )
    })

    it('tells how a run stands that is tried again', async () => {
      const world = await setup()
      const facts = { max_attempts: 3, retry_delay_seconds: 3600 }
      const { run } = await world.bring('failed', facts)
      expect((await explain(world, run)).summary).toMatch(
        /^Pending again after attempt 1 of 3 \(broken\): it waits for its time, and is claimable from 13:\d\d:\d\d UTC on\.$/,
      )
    })

    it('tells how a run stands that a runner holds', async () => {
      const world = await setup()
      const { clock } = world
      const runner = await world.register({ hostname: 'alpha' })
      const name = `runner ${runner.runner_id} on alpha`
      const claimed = await world.bring('claimed', {}, runner)
      expect(await explain(world, claimed.run)).toMatchObject({
        summary: `Claimed by ${name} at 12:00:00 UTC, and not reported started yet.`,
        outlook: 'It is pending again at 12:01:00 UTC unless its start is reported before.',
        reasons: [],
        ahead: null,
        matching_runners: null,
        runners: [],
      })
      await world.runs.start(claimed.report, clock.now())
      expect(await explain(world, claimed.run)).toMatchObject({
        summary: `Running with ${name} since 12:00:00 UTC, attempt 1 of 1.`,
        outlook: null,
      })
      clock.advance(120)
      expect((await explain(world, claimed.run)).outlook).toBe(
        'Its runner was last heard of at 12:00:00 UTC; if that is still so at 12:10:00 UTC, the run fails.',
      )
      await world.runs.stop(claimed.run.run_id, clock.now())
      expect((await explain(world, claimed.run)).summary).toBe(
        `Asked to stop; ${name} has not confirmed it yet.`,
      )
    })

    it('tells how a run ended', async () => {
      const world = await setup()
      const runner = await world.register({ hostname: 'alpha' })
      const summaryOf = async (run: { run_id: string }) => (await explain(world, run)).summary
      const completed = await world.bring('completed', {}, runner)
      expect(await summaryOf(completed.run)).toBe(
        `Completed by runner ${runner.runner_id} on alpha at 12:00:00 UTC, 0.0 s after its start.`,
      )
      const failed = await world.bring('failed', {}, runner)
      expect(await summaryOf(failed.run)).toBe('Failed at 12:00:00 UTC: broken.')
      const again = await world.bring('running', {}, runner)
      const report = { ...again.report, error: 'Traceback (most recent call last):\n  oh' }
      await world.runs.fail(report, world.clock.now())
      expect(await summaryOf(again.run)).toBe(
        'Failed at 12:00:00 UTC: Traceback (most recent call last):',
      )
      const stopped = await world.add()
      await world.runs.stop(stopped.run_id, world.clock.now())
      expect(await summaryOf(stopped)).toBe('Stopped at 12:00:00 UTC, before it was started.')
      await world.runners.remove(runner.runner_id, world.clock.now())
      expect(await summaryOf(completed.run)).toContain('which is not registered any more')
    })

    it('still says who could not take a run that failed for that', async () => {
      const world = await setup()
      const { clock } = world
      const run = await world.add({ demands: { tags: ['gpu'] }, timeout_seconds: 5 })
      await world.runs.failTimedOut(clock.advance(5), 10)
      await world.register()
      expect(await explain(world, run)).toMatchObject({
        status: 'failed',
        summary: 'Failed at 12:00:05 UTC: No matching runner available within timeout.',
        runners: [{ summary: 'tag gpu is missing' }],
      })
    })
  })

  describe('explainRunner', () => {
    it('says of one that is not registered why that may be', async () => {
      const world = await setup()
      const error = await refusal(
        explainRunner(world, { runner_id: 'lnch_unknown' }),
        'runner_not_found',
      )
      expect(error.message).toContain('gave no heartbeat for 600 s and was removed')
    })

    it('says that nothing is claimable', async () => {
      const world = await setup()
      const runner = await world.register()
      await world.add({ available_at: world.clock.ahead(60) })
      expect(await explainRunner(world, runner)).toMatchObject({
        state: 'online',
        summary: 'Online, and nothing is claimable.',
        reasons: ['The next run that waits for its time is claimable from 12:01:00 UTC on.'],
        next_run_id: null,
        next_available_at: world.clock.ahead(60),
        unmet: [],
      })
    })

    it('says what it would get, and what it holds', async () => {
      const world = await setup()
      const runner = await world.register()
      const { run_id } = await world.add()
      expect(await explainRunner(world, runner)).toMatchObject({
        summary: `Online: it gets ${run_id} with its next claim.`,
        reasons: ['It holds nothing, so it should be asking: see whether its process polls.'],
        next_run_id: run_id,
      })
      await world.claim(runner)
      const next = await world.add()
      expect(await explainRunner(world, runner)).toMatchObject({
        summary: `Online: it gets ${next.run_id} with its next claim.`,
        reasons: [
          `It holds 1 run: ${run_id} (claimed), and may not ask for more before it is done with some.`,
        ],
        holds: [{ run_id, status: 'claimed', since: world.clock.now() }],
      })
    })

    it('says what it lacks for what is claimable, the nearest first', async () => {
      const world = await setup()
      const runner = await world.register({ hostname: 'a', tags: ['eu'] })
      await world.add({ demands: { hostname: 'b', tags: ['gpu'] } })
      const near = await world.add({ demands: { tags: ['eu', 'gpu'] } })
      await world.add({ demands: { tags: ['eu', 'gpu'] } })
      const told = await explainRunner(world, runner)
      expect(told.summary).toBe(
        'Online, but it can take nothing of what is claimable: 2 different demands, none of which it meets.',
      )
      expect(told.reasons).toEqual([
        `Nearest is ${near.run_id}, which demands tag eu and tag gpu: tag gpu is missing.`,
      ])
      expect(told.unmet).toMatchObject([
        { run_id: near.run_id, summary: 'tag gpu is missing' },
        { summary: 'hostname is a, not b; tag gpu is missing' },
      ])
    })

    it('says that it is stale, is being removed, or can take nothing at all', async () => {
      const world = await setup()
      const { clock, runners } = world
      const runner = await world.register({ require_matching_tags: true })
      await world.add()
      expect((await explainRunner(world, runner)).reasons).toContain(
        'It takes only runs that demand one of its tags, and it has none: it can take no run at all.',
      )
      clock.advance(120)
      expect(await explainRunner(world, runner)).toMatchObject({
        state: 'stale',
        summary: 'Stale: it was last heard of at 12:00:00 UTC.',
        outlook:
          'It is removed at 12:10:00 UTC, and what it holds is settled, unless it sends a heartbeat before.',
      })
      await runners.deregister(runner.runner_id, clock.now())
      expect(await explainRunner(world, runner)).toMatchObject({
        state: 'deregistered',
        summary:
          'Marked for removal at 12:02:00 UTC: it gets no more runs, and hears so at its next poll.',
        next_run_id: null,
      })
    })
  })

  describe('matching_runners', () => {
    it('is told of each run of a batch, and of a retry', async () => {
      const { runs, register, clock } = await setup()
      await register({ tags: ['gpu'] })
      const batch = [null, { tags: ['gpu'] }, { tags: ['big'] }].map((demands) =>
        aNewRun({ demands }),
      )
      const added = await runs.addMany(batch, clock.now())
      expect(added.map((each) => each.matching_runners)).toEqual([1, 1, 0])
      const { run_id } = batch[1] ?? aNewRun()
      await runs.stop(run_id, clock.now())
      const retried = await runs.retry(run_id, 'run_again', clock.now())
      expect(retried).toMatchObject({ run: { run_id: 'run_again' }, matching_runners: 1 })
    })

    it('sees tags in whatever spelling they are stored', async () => {
      const { runs, runners, clock } = await setup()
      const tags = ['a"b', 'back\\slash', '\u2028', 'plain']
      await runners.register(aNewRunner({ tags }), clock.now(), clock.ago(1))
      for (const tag of tags) {
        const { matching_runners } = await runs.add(
          aNewRun({ demands: { tags: [tag] } }),
          clock.now(),
        )
        expect(matching_runners).toBe(1)
      }
    })
  })

  describe('reject_if_unmatchable', () => {
    it('names the nearest miss, and refuses a batch as a whole', async () => {
      const { runs, register, clock } = await setup()
      const runner = await register({ hostname: 'a' })
      const demands = { hostname: 'a', tags: ['gpu'] }
      const strict = aNewRun({ demands, reject_if_unmatchable: true })
      const error = await refusal(runs.add(strict, clock.now()), 'unmatchable')
      expect(error.message).toBe(
        `No runner can take it now: no registered runner has tag gpu; nearest is ${runner.runner_id} on a: tag gpu is missing`,
      )
      const other = aNewRun()
      const refused = await refusal(runs.addMany([other, strict], clock.now()), 'unmatchable')
      expect(refused).toMatchObject({ facts: { index: 1 } })
      expect(await runs.get(other.run_id)).toBeNull()
    })

    it('leaves the session that was to be resumed as it is', async () => {
      const { runs, bring, runners, sessionNow, clock } = await setup()
      const { run, report } = await bring('completed')
      await runners.remove(report.runner_id, clock.now())
      const resume = { type: 'resume_session', session_id: run.session_id } as const
      const strict = aNewRun({ ...resume, reject_if_unmatchable: true })
      await refusal(runs.add(strict, clock.now()), 'unmatchable')
      expect((await sessionNow(run)).status).toBe('finished')
    })

    it('says rather that the session exists', async () => {
      const { runs, add, clock } = await setup()
      const { session_id } = await add()
      const strict = aNewRun({ session_id, reject_if_unmatchable: true })
      await refusal(runs.add(strict, clock.now()), 'session_exists')
    })
  })
}
