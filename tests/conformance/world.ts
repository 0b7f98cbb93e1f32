/** One database for one test, and the steps that most tests begin with. */
import { onTestFinished } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import type { ClaimedRun, NewRun, Run, RunStatus } from '../../src/queue/run.ts'
import type { Claim, Report } from '../../src/queue/run-queue.ts'
import type { NewRunner, Runner } from '../../src/queue/runner.ts'
import type { Session } from '../../src/queue/session.ts'
import { type Clock, fakeClock } from '../support/clock.ts'
import { aNewRun, aNewRunner, someTokens } from '../support/factories.ts'
import type { EngineFixture, OpenFixture } from './fixture.ts'

export interface Held {
  run: Run
  /** What its runner reports with. */
  report: Report
}

export interface World extends Engine {
  clock: Clock
  fixture: EngineFixture
  /** Another connection, as another process would have. */
  open(): Promise<Engine>
  add(facts?: Partial<NewRun>): Promise<Run>
  register(facts?: Partial<NewRunner>): Promise<Runner>
  claim(runner: { runner_id: string }, facts?: Partial<Claim>): Promise<ClaimedRun[]>
  /** Adds a run and brings it into `status`, through the hands of `runner` or a new one. */
  bring(status: RunStatus, facts?: Partial<NewRun>, runner?: Runner): Promise<Held>
  /** As the database holds it now. */
  runNow(run: { run_id: string }): Promise<Run>
  sessionNow(of: { session_id: string }): Promise<Session>
}

export type Setup = () => Promise<World>

export const setupOf =
  (openFixture: OpenFixture): Setup =>
  () =>
    openWorld(openFixture)

export async function openWorld(openFixture: OpenFixture): Promise<World> {
  const fixture = await openFixture()
  const opened = new Set<Engine>()
  onTestFinished(async () => {
    for (const engine of opened) await engine.close()
    await fixture.cleanup()
  })
  const clock = fakeClock()

  async function open(): Promise<Engine> {
    const engine = await fixture.open()
    const close = engine.close.bind(engine)
    opened.add(engine)
    engine.close = () => {
      opened.delete(engine)
      return close()
    }
    return engine
  }

  const engine = await open()
  const { runs, sessions, runners } = engine

  const add = async (facts?: Partial<NewRun>) => (await runs.add(aNewRun(facts), clock.now())).run

  const register = (facts?: Partial<NewRunner>) =>
    runners.register(aNewRunner(facts), clock.now(), clock.ago(120))

  function claim({ runner_id }: { runner_id: string }, facts: Partial<Claim> = {}) {
    const limit = facts.limit ?? 1
    const tokens = someTokens(limit)
    return runs.claim({ runner_id, limit, claim_key: null, tokens, ...facts }, clock.now())
  }

  async function hold(added: Run, runner: Runner): Promise<Report> {
    const [claimed] = await claim(runner)
    if (claimed?.run_id !== added.run_id) throw new Error('another pending run was claimed first')
    const { run_id, claim_token } = claimed
    return { run_id, runner_id: runner.runner_id, claim_token }
  }

  async function bring(status: RunStatus, facts?: Partial<NewRun>, by?: Runner): Promise<Held> {
    const runner = by ?? (await register())
    const run = await add(facts)
    const none = { run_id: run.run_id, runner_id: runner.runner_id, claim_token: null }
    const report = status === 'pending' ? none : await hold(run, runner)
    const now = clock.now()
    if (status !== 'pending' && status !== 'claimed') await runs.start(report, now)
    if (status === 'stopping') await runs.stop(run.run_id, now)
    if (status === 'stopped') await runs.confirmStop(report, now)
    if (status === 'failed') await runs.fail({ ...report, error: 'broken' }, now)
    if (status === 'completed') {
      await runs.complete({ ...report, session_status: 'finished', result: null }, now)
    }
    return { run: await runNow(run), report }
  }

  async function runNow({ run_id }: { run_id: string }): Promise<Run> {
    const run = await runs.get(run_id)
    if (!run) throw new Error(`no run ${run_id}`)
    return run
  }

  async function sessionNow({ session_id }: { session_id: string }): Promise<Session> {
    const session = await sessions.get(session_id)
    if (!session) throw new Error(`no session ${session_id}`)
    return session
  }

  const steps = { open, add, register, claim, bring, runNow, sessionNow }
  return { ...engine, ...steps, clock, fixture, close: () => engine.close() }
}
