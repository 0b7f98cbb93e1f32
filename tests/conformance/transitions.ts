/** Every report on a run in every status, against the one table of transitions. */
import { describe, expect, it } from 'vitest'
import { RUN_STATUSES, type RunStatus, type Timestamp } from '../../src/queue/run.ts'
import type { Report, RunQueue } from '../../src/queue/run-queue.ts'
import { TRANSITIONS } from '../../src/queue/transitions.ts'
import { refusal } from '../support/errors.ts'
import type { Setup } from './world.ts'

type Kind = 'start' | 'complete' | 'fail' | 'confirm_stop'
type Send = (runs: RunQueue, report: Report, now: Timestamp) => Promise<unknown>

const SEND: Record<Kind, Send> = {
  start: (runs, report, now) => runs.start(report, now),
  complete: (runs, report, now) =>
    runs.complete({ ...report, session_status: 'idle', result: null }, now),
  fail: (runs, report, now) => runs.fail({ ...report, error: 'broken' }, now),
  confirm_stop: (runs, report, now) => runs.confirmStop(report, now),
}
const KINDS = Object.keys(SEND) as Kind[]

/** Statuses that the report itself leads to, or (of a start) that it merely comes too late for. */
const NO_NEWS: Record<Kind, readonly RunStatus[]> = {
  start: ['running', 'stopping', 'completed', 'failed', 'stopped'],
  complete: ['completed'],
  fail: ['failed'],
  confirm_stop: ['stopped'],
}

const MATRIX = KINDS.flatMap((kind) => RUN_STATUSES.map((status) => ({ kind, status })))
const moves = (kind: Kind, status: RunStatus) =>
  (TRANSITIONS[kind].from as readonly RunStatus[]).includes(status)

const LEGAL = MATRIX.filter(({ kind, status }) => moves(kind, status))
const NO_CHANGE = MATRIX.filter(({ kind, status }) => NO_NEWS[kind].includes(status))
const ILLEGAL = MATRIX.filter((pair) => !LEGAL.includes(pair) && !NO_CHANGE.includes(pair))

export function describeTransitions(setup: Setup): void {
  describe('reports by the runner that holds the run', () => {
    it.each(LEGAL)('$kind moves a run that is $status', async ({ kind, status }) => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring(status)
      await SEND[kind](runs, report, clock.advance(1))
      expect((await runNow(run)).status).toBe(TRANSITIONS[kind].to)
    })

    it.each(NO_CHANGE)('$kind is no news of a run that is $status', async ({ kind, status }) => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring(status)
      const session = await sessionNow(run)
      await SEND[kind](runs, report, clock.advance(1))
      await SEND[kind](runs, { ...report, claim_token: null }, clock.advance(1))
      expect(await runNow(run)).toEqual(run)
      expect(await sessionNow(run)).toEqual(session)
    })

    it.each(ILLEGAL)('$kind is refused of a run that is $status', async ({ kind, status }) => {
      const { bring, runs, runNow, sessionNow, clock } = await setup()
      const { run, report } = await bring(status)
      const session = await sessionNow(run)
      const code = status === 'pending' ? 'run_not_held' : 'run_wrong_status'
      await refusal(SEND[kind](runs, report, clock.advance(1)), code)
      expect(await runNow(run)).toEqual(run)
      expect(await sessionNow(run)).toEqual(session)
    })
  })

  describe.each(KINDS)('%s by somebody else', (kind) => {
    const from = TRANSITIONS[kind].from[0]

    it('is refused to a runner that is not registered', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring(from)
      const stranger = { ...report, runner_id: 'lnch_unknown' }
      await refusal(SEND[kind](runs, stranger, clock.now()), 'runner_not_registered')
      expect(await runNow(run)).toEqual(run)
    })

    it('is refused of a run that does not exist', async () => {
      const { register, runs, clock } = await setup()
      const { runner_id } = await register()
      const report = { run_id: 'run_unknown', runner_id, claim_token: null }
      await refusal(SEND[kind](runs, report, clock.now()), 'run_not_found')
    })

    it('is refused to a runner that does not hold the run, even with its token', async () => {
      const { bring, register, runs, runNow, clock } = await setup()
      const { run, report } = await bring(from)
      const { runner_id } = await register()
      await refusal(SEND[kind](runs, { ...report, runner_id }, clock.now()), 'run_not_held')
      const tokenless = { ...report, runner_id, claim_token: null }
      await refusal(SEND[kind](runs, tokenless, clock.now()), 'run_not_held')
      expect(await runNow(run)).toEqual(run)
    })

    it('is refused of an ended run to another runner than ended it', async () => {
      const { bring, register, runs, runNow, clock } = await setup()
      const { run, report } = await bring('completed')
      const { runner_id } = await register()
      await refusal(SEND[kind](runs, { ...report, runner_id }, clock.now()), 'run_not_held')
      expect(await runNow(run)).toEqual(run)
    })

    it('is refused with the token of an earlier claim', async () => {
      const { bring, claim, runs, runNow, clock } = await setup()
      const { run, report } = await bring('claimed')
      await runs.release(run.run_id, report.claim_token ?? '', clock.now())
      const [again] = await claim(report)
      expect(again?.run_id).toBe(run.run_id)
      const held = await runNow(run)
      await refusal(SEND[kind](runs, report, clock.advance(1)), 'claim_token_mismatch')
      expect(await runNow(run)).toEqual(held)
    })

    it('is refused with the token of an earlier claim after the run ended', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring('completed')
      const outdated = { ...report, claim_token: 'outdated' }
      await refusal(SEND[kind](runs, outdated, clock.advance(1)), 'claim_token_mismatch')
      expect(await runNow(run)).toMatchObject(run)
    })

    it('is taken without a token', async () => {
      const { bring, runs, runNow, clock } = await setup()
      const { run, report } = await bring(from)
      await SEND[kind](runs, { ...report, claim_token: null }, clock.now())
      expect((await runNow(run)).status).toBe(TRANSITIONS[kind].to)
    })

    it('is refused once the runner was removed', async () => {
      const { bring, runners, runs, runNow, clock } = await setup()
      const { run, report } = await bring(from)
      await runners.remove(report.runner_id, clock.now())
      const left = await runNow(run)
      await refusal(SEND[kind](runs, report, clock.now()), 'runner_not_registered')
      expect(await runNow(run)).toEqual(left)
    })
  })
}
