/**
 * All at once: every request goes out twice, to two servers, and connections are cut in the midst. Each is
 * repeated until it is answered. What comes out is as if each had been asked once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { Connection } from '../../src/postgres/database.ts'
import type { Engine } from '../../src/queue/engine.ts'
import { QueueError } from '../../src/queue/errors.ts'
import type { ClaimedRun, NewRun, Run } from '../../src/queue/run.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { seededRandom } from '../simulation/random.ts'
import { aNewRun, someTokens } from '../support/factories.ts'
import { openFixture, openShell } from './fixture.ts'

const RUNNERS = 5
/** Of so many statements the answer to one is lost, on the whole. */
const LOST = 12
const SEED = 20_261
const PARENTS = 4
const CHILDREN = 4
const CUT_EVERY_MS = 20

const CUT = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' LIMIT 1`

async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof QueueError && error.code.startsWith('database_'))) throw error
      await pause(1)
    }
  }
}

/** What was done, and committed where it is no part of a transaction, is not heard of. */
function loseAnswers(): void {
  const random = seededRandom(SEED)
  const query = Connection.prototype.query
  const losing = vi.spyOn(Connection.prototype, 'query').mockImplementation(async function (
    this: Connection,
    config,
  ) {
    const result = await query.call(this, config)
    if (random.oneIn(LOST)) throw new Error('Connection terminated unexpectedly')
    return result
  })
  onTestFinished(() => losing.mockRestore())
}

interface Hammering {
  world: World
  /** To the one server, the other, or both; twice in any case. */
  twice<T>(ask: (engine: Engine) => Promise<T>): Promise<[T, T]>
}

async function open(): Promise<Hammering & { cuts: () => number }> {
  const world = await openWorld(openFixture)
  const other = await world.open()
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  let cuts = 0
  const ended = new AbortController()
  const cutting = (async () => {
    while (!ended.signal.aborted) {
      await pause(CUT_EVERY_MS)
      cuts += (await shell.query(CUT)).rowCount ?? 0
    }
  })()
  onTestFinished(() => {
    ended.abort()
    return cutting
  })
  loseAnswers()
  let turn = 0
  return {
    world,
    cuts: () => cuts,
    twice(ask) {
      turn += 1
      const [one, two] = [turn % 2 ? world : other, turn % 3 ? world : other]
      return Promise.all([insist(() => ask(one)), insist(() => ask(two))])
    },
  }
}

async function add({ world, twice }: Hammering, facts: Partial<NewRun>): Promise<Run> {
  const idempotency = { key: aNewRun().run_id, fingerprint: 'f' }
  const [one, two] = await twice(({ runs }) =>
    runs.add(aNewRun({ ...facts, idempotency }), world.clock.now()),
  )
  expect(two.run.run_id).toBe(one.run.run_id)
  return one.run
}

/** Claims and does what there is until there is no more; a parent's first run has children. */
async function work(
  hammering: Hammering,
  runner_id: string,
  isDone: () => Promise<boolean>,
  claimed: string[],
) {
  const { world, twice } = hammering
  const now = world.clock.now()
  async function serve(run: ClaimedRun): Promise<void> {
    const { run_id, session_id, claim_token } = run
    const report = { run_id, runner_id, claim_token }
    await twice(({ runs }) => runs.start(report, now))
    if (run.type === 'start_session' && run.parent_session_id === null) {
      const facts = { parent_session_id: session_id, execution_mode: 'async_callback' as const }
      await Promise.all(Array.from({ length: CHILDREN }, () => add(hammering, facts)))
    }
    if (run_id.endsWith('3')) {
      await twice(({ runs }) => runs.stop(run_id, now))
      await twice(({ runs }) => runs.confirmStop(report, now))
    } else if (run_id.endsWith('5')) {
      await twice(({ runs }) => runs.fail({ ...report, error: 'broken' }, now))
    } else {
      const ending = { session_status: 'finished' as const, result: { text: run_id, data: null } }
      await twice(({ runs }) => runs.complete({ ...report, ...ending }, now))
    }
  }
  while (!(await isDone())) {
    const claim = { runner_id, limit: 3, claim_key: aNewRun().run_id }
    const [one, two] = await twice(({ runs }) =>
      runs.claim({ ...claim, tokens: someTokens(3) }, now),
    )
    // Where one got nothing, the other may have been later, when there was something.
    if (one.length > 0 && two.length > 0) expect(two).toEqual(one)
    const got = one.length > 0 ? one : two
    claimed.push(...got.map(({ run_id }) => run_id))
    await Promise.all(got.map(serve))
  }
}

it('requests that are repeated and cut off come out as if each had been asked once', async () => {
  const hammering = await open()
  const { world } = hammering
  const runners = []
  for (let i = 0; i < RUNNERS; i++) runners.push(await insist(() => world.register()))
  const parents = await Promise.all(Array.from({ length: PARENTS }, () => add(hammering, {})))
  const claimed: string[] = []
  const statuses = ['pending', 'claimed', 'running', 'stopping'] as const
  const isDone = async () => {
    await hammering.twice(({ runs }) => runs.deliverCallbacks(null, world.clock.now(), 10))
    const { runs } = await insist(() => world.runs.list({ statuses, limit: 1 }))
    return runs.length === 0
  }
  await Promise.all(runners.map(({ runner_id }) => work(hammering, runner_id, isDone, claimed)))
  expect(hammering.cuts()).toBeGreaterThan(5)

  const { runs } = await insist(() => world.runs.list({ limit: 1000 }))
  expect(claimed.sort()).toEqual(runs.map(({ run_id }) => run_id).sort())
  for (const { attempt } of runs) expect(attempt).toBe(1)
  const children = runs.filter(({ parent_session_id }) => parent_session_id !== null)
  expect(children.length).toBe(PARENTS * CHILDREN)
  for (const { session_id } of parents) {
    const own = runs.filter((run) => run.session_id === session_id && run.type === 'resume_session')
    const told = own.flatMap(({ prompt }) => prompt?.match(/session="[^"]+"/g) ?? [])
    const wanted = children.filter((child) => child.parent_session_id === session_id)
    expect(told.sort()).toEqual(wanted.map((child) => `session="${child.session_id}"`).sort())
  }
})
