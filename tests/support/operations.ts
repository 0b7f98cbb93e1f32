/** Every operation of the engine once, by name, so that each statement it prepares runs. */

import type { RunStatus } from '../../src/queue/run.ts'
import type { Held, World } from '../conformance/world.ts'
import { aNewRun, aNewRunner, aNewToken, uniqueHex } from './factories.ts'

type During = (operation: string, work: () => Promise<unknown>) => Promise<void>

const BINDING = {
  executor_session_id: 'e',
  hostname: 'alpha',
  executor_profile: 'coding',
  executor_type: null,
}
const demands = { hostname: 'alpha', tags: ['a'] }
const result = { text: 'done', data: null }

export async function everyOperation(world: World, during: During): Promise<void> {
  await runOperations(world, during)
  await sweepOperations(world, during)
  await callbackOperations(world, during)
  await sessionOperations(world, during)
  await runnerOperations(world, during)
  await tokenOperations(world, during)
  await listOperations(world, during)
  await storageOperations(world, during)
  await insightOperations(world, during)
  await overviewOperations(world, during)
  await metricsOperations(world, during)
}

let urgency = 100
/** More urgent than all before, so that no other pending run is claimed in its place. */
const urgent = () => ({ priority: urgency++ })
const bring = (world: World, status: RunStatus, facts = {}): Promise<Held> =>
  world.bring(status, { ...urgent(), ...facts })

async function runOperations(world: World, during: During): Promise<void> {
  const { runs, register, claim, clock } = world
  const now = clock.now()
  const idempotency = { key: uniqueHex(), fingerprint: 'f' }
  const parent = aNewRun({ ...urgent(), demands, idempotency })
  const parent_session_id = parent.session_id
  await during('add', () => runs.add(parent, now))
  await during('add', () => runs.add(aNewRun({ idempotency }), now))
  const bounds = { max_pending: 100_000 }
  await during('addMany', () => runs.addMany([aNewRun({ parent_session_id })], now, bounds))
  const resume = { type: 'resume_session', session_id: parent_session_id } as const
  await during('add', () => runs.add(aNewRun(resume), now))
  const runner = await register({ tags: ['a'] })
  await during('claim', () => claim(runner, { claim_key: uniqueHex() }))
  const look = { runner_id: runner.runner_id, limit: 0, claim_key: null, tokens: [] }
  await during('poll', () => runs.poll(look, now, clock.ago(60)))
  const claimed = await bring(world, 'claimed')
  const { run_id } = claimed.run
  await during('release', () => runs.release(run_id, claimed.report.claim_token ?? '', now))
  await during('setDemands', () => runs.setDemands(run_id, demands, 60, now))
  await during('stop', () => runs.stop(run_id, now))
  await during('stop', () => runs.stop(run_id, now))
  await during('retry', () => runs.retry(run_id, uniqueHex(), now, bounds))
  const { report } = await bring(world, 'claimed')
  await during('start', () => runs.start(report, now))
  await during('start', () => runs.start(report, now))
  await during('complete', () => runs.complete({ ...report, session_status: 'idle', result }, now))
  const failing = await bring(world, 'running')
  await during('fail', () => runs.fail({ ...failing.report, error: 'x' }, now))
  const stopping = await bring(world, 'stopping')
  const { runner_id } = stopping.report
  await during('takeStops', () => runs.takeStops(runner_id, now, clock.ago(60)))
  await during('confirmStop', () => runs.confirmStop(stopping.report, now))
}

async function sweepOperations(world: World, during: During): Promise<void> {
  const { runs, clock } = world
  const now = clock.now()
  for (const status of ['claimed', 'running', 'stopping'] as const) await bring(world, status)
  const delayed = aNewRun({ demands, available_at: clock.ahead(5) })
  await during('add', () => runs.add(delayed, now))
  await during('nextAvailableAt', () => runs.nextAvailableAt())
  await during('makeAvailable', () => runs.makeAvailable(clock.ahead(5), 10))
  await during('failTimedOut', () => runs.failTimedOut(clock.ahead(600), 10))
  await during('releaseUnstarted', () => runs.releaseUnstarted(now, now, 10))
  await during('settleUnconfirmedStops', () => runs.settleUnconfirmedStops(now, now, 10))
  for (const mode of ['stale', 'all'] as const) {
    const options = { thresholdSeconds: 300, aliveSince: now }
    await during('recover', () => runs.recover(mode, { ...options, dryRun: true }, now))
    await during('recover', () => runs.recover(mode, options, now))
  }
}

async function callbackOperations(world: World, during: During): Promise<void> {
  const { runs, add, clock } = world
  const now = clock.now()
  const { run_id, session_id } = await add()
  const callback = { parent_session_id: session_id, execution_mode: 'async_callback' } as const
  for (const status of ['completed', 'pending'] as const) {
    const child = await bring(world, status, callback)
    await during('stop of a child', () => runs.stop(child.run.run_id, now))
  }
  await during('deliverCallbacks', () => runs.deliverCallbacks(null, now, 10))
  await during('stop of a parent', () => runs.stop(run_id, now))
}

async function sessionOperations(world: World, during: During): Promise<void> {
  const { runs, sessions, clock } = world
  const now = clock.now()
  const { run, report } = await bring(world, 'running')
  const { session_id } = run
  const { runner_id } = report
  await during('sessions.bind', () => sessions.bind(session_id, BINDING, now))
  await during('sessions.update', () => sessions.update(session_id, { agent_name: 'x' }, now))
  const event = { session_id, event_type: 'message', timestamp: now }
  await during('sessions.addEvent', () =>
    sessions.addEvent({ ...event, role: 'assistant', content: 'hi' }),
  )
  await during('sessions.events', () => sessions.events(session_id))
  await runs.complete({ ...report, session_status: 'idle', result: null }, now)
  await during('sessions.result', () => sessions.result(session_id))
  await during('sessions.stop', () => sessions.stop(session_id, now))
  await during('takeStops', () => runs.takeStops(runner_id, now, clock.ago(60)))
  await during('sessions.report', () => sessions.report(session_id, runner_id, 'stopped', now))
  await during('sessions.get', () => sessions.get(session_id))
  await during('sessions.list', () => sessions.list({ limit: 2 }))
  await during('sessions.delete', () => sessions.delete(session_id))
}

async function runnerOperations(world: World, during: During): Promise<void> {
  const { runners, clock } = world
  const now = clock.now()
  const runner = aNewRunner()
  const { runner_id } = runner
  await during('runners.register', () => runners.register(runner, now, clock.ago(60)))
  await during('runners.get', () => runners.get(runner_id))
  await during('runners.list', () => runners.list(10))
  await during('runners.heartbeat', () => runners.heartbeat(runner_id, now))
  await during('runners.deregister', () => runners.deregister(runner_id, now))
  await during('runners.remove', () => runners.remove(runner_id, now))
  await during('runners.removeLost', () => runners.removeLost(clock.ago(60), now, 10))
}

async function tokenOperations(world: World, during: During): Promise<void> {
  const { runs, runners, tokens, clock } = world
  const now = clock.now()
  const [caller, other] = [aNewToken(), aNewToken()]
  await during('tokens.create', () => tokens.create(caller, now))
  await tokens.create(other, now)
  await during('tokens.find', () => tokens.find(null))
  await during('tokens.find', () => tokens.find(caller.token_hash))
  await during('tokens.list', () => tokens.list(10))
  const runner = aNewRunner()
  const { runner_id } = runner
  await during('runners.register', () => runners.register(runner, now, now, caller))
  await during('runners.register', () =>
    runners.register(runner, now, now, other).catch((error) => error),
  )
  await during('runners.heartbeat', () => runners.heartbeat(runner_id, now, caller))
  const rate = { token_id: caller.token_id, runs_per_second: 1, burst: 1 }
  const bounds = { max_pending: null, rate }
  await during('add', () => runs.add(aNewRun(), now, bounds))
  await during('add', () => runs.add(aNewRun(), now, bounds).catch((error) => error))
  await during('tokens.revoke', () => tokens.revoke(caller.token_id, now))
  await during('tokens.revoke', () => tokens.revoke('nobody', now).catch((error) => error))
}

async function listOperations(world: World, during: During): Promise<void> {
  const { runs, changes, runFeed, sessionFeed, clock } = world
  const now = clock.now()
  const { run, report } = await bring(world, 'completed')
  const { run_id, session_id } = run
  const { runner_id } = report
  await during('get', () => runs.get(run_id))
  await during('traceparent', () => runs.traceparent(run_id))
  await during('events', () => runs.events(run_id, { limit: 10 }))
  await during('pending', () => runs.pending(10))
  await during('active', () => runs.active(10))
  await during('activeOfSession', () => runs.activeOfSession(session_id))
  await during('list', () => runs.list({ limit: 2 }))
  await during('list of a session', () => runs.list({ session_id, limit: 2 }))
  await during('list of a runner', () => runs.list({ runner_id, limit: 2 }))
  await during('list of both', () => runs.list({ session_id, runner_id, limit: 2 }))
  await during('sessionFeed.keep', () => sessionFeed.keep(now))
  await during('sessionFeed.keep', () => sessionFeed.keep(clock.ahead(3600)))
  await during('sessionFeed.end', () => sessionFeed.end())
  await bring(world, 'running')
  await during('runFeed.read', async () => runFeed.read('0', await runFeed.end()))
  await during('sessionFeed.read', () => sessionFeed.read('0'))
  await during('sessionFeed.isWhole', () => sessionFeed.isWhole('1'))
  await during('sessionFeed.rest', () => sessionFeed.rest(clock.ahead(7200)))
  await during('changes', async () => {
    let stop = () => {}
    const told = new Promise<void>((resolve) => {
      stop = changes.subscribe(() => resolve())
    })
    await world.add()
    await told
    stop()
  })
}

async function storageOperations(world: World, during: During): Promise<void> {
  const { storage, clock } = world
  await bring(world, 'completed')
  const before = clock.advance(60)
  await during('prune', () => storage.prune({ before, limit: 10_000, dryRun: true }))
  await during('prune', () => storage.prune({ before, limit: 10_000 }))
  await during('giveBack', () => storage.giveBack())
}

async function insightOperations(world: World, during: During): Promise<void> {
  const { runs, insight, register, clock } = world
  const now = clock.now()
  const terms = { stale_seconds: 120, remove_seconds: 600, claim_timeout_seconds: 60 }
  const { run, report } = await bring(world, 'running')
  await register()
  const { run_id } = await world.add()
  for (const each of [run.run_id, run_id]) {
    await during('insight.explainRun', () => insight.explainRun(each, terms, now))
  }
  const { runner_id } = report
  await during('insight.explainRunner', () => insight.explainRunner(runner_id, terms, now))
  const strict = { demands: { tags: ['nobody'] }, reject_if_unmatchable: true }
  await during('add that is unmatchable', () =>
    runs.add(aNewRun(strict), now).catch((error) => error),
  )
}

async function overviewOperations(world: World, during: During): Promise<void> {
  const { overview, clock } = world
  for (const priority of [1, 2]) await world.add({ demands, priority })
  await during('overview.standing', () => overview.standing())
  await during('overview.demandGroups', () => overview.demandGroups(2))
  await during('overview.ended', () => overview.ended(100))
  await during('overview.activity', () => overview.activity(clock.ago(300), 60, 10))
  const search = { agent_name: 'x', text: 'x', limit: 2 }
  await during('overview.search', () => overview.search(search))
}

async function metricsOperations(world: World, during: During): Promise<void> {
  const { metrics, sessions, clock } = world
  const { run } = await bring(world, 'completed')
  await world.add({ demands })
  await sessions.delete(run.session_id)
  await during('metrics.read', () => metrics.read(clock.now()))
  await during('metrics.fold', () => metrics.fold())
}
