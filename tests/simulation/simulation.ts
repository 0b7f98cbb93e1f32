/**
 * Random operations, one after the other, on two connections to one database that are now and then
 * closed and opened again; after each the queue is compared with the model. A failure names its
 * seed: `SIMULATION_SEED=… vitest run --project simulation` repeats it.
 */
import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import { QueueError } from '../../src/queue/errors.ts'
import type { Run } from '../../src/queue/run.ts'
import type { OpenFixture } from '../conformance/fixture.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { Model } from './model.ts'
import { type Random, seededRandom } from './random.ts'
import { COMPARED } from './state.ts'
import type { Step } from './step.ts'
import { chooseStep } from './steps.ts'

/** What must have come of it, beside much else: a simulation that does nothing proves nothing. */
const REACHED = [
  ...['add queue_full', 'addMany queue_full', 'resume queue_full', 'retry queue_full'],
  ...['makeAvailable some', 'nextAvailableAt some', 'removeRunner some', 'recover some'],
  ...['complete told a parent', 'fail told a parent', 'stop told a parent'],
  ...['failTimedOut told a parent', 'deliverCallbacks some'],
]
/** How much of what went before a failure shows. */
const HISTORY = 25

/** As many as it mostly takes to meet what is rare; else it goes on, so many times as long at most. */
const STEPS = 4000
const LONGEST = 5

/** @param steps fewer where each takes longer */
export function describeSimulation(name: string, openFixture: OpenFixture, steps = STEPS): void {
  describe(name, () => {
    it(`agrees with the model over ${steps} random operations`, async () => {
      const seed = Number(process.env['SIMULATION_SEED'] ?? randomInt(2 ** 31))
      process.stdout.write(`${name}: SIMULATION_SEED=${seed}\n`)
      const history: Step[] = []
      try {
        await simulate(await openWorld(openFixture), seededRandom(seed), history, steps)
      } catch (error) {
        const told = history.slice(-HISTORY).map(({ operation, given }) => [operation, given])
        const before = told.map(
          (one, i) => `${history.length - told.length + i} ${JSON.stringify(one)}`,
        )
        throw new Error(
          [`SIMULATION_SEED=${seed}, step ${history.length - 1}, after:`, ...before].join('\n'),
          { cause: error },
        )
      }
    })
  })
}

async function simulate(
  world: World,
  random: Random,
  history: Step[],
  steps: number,
): Promise<void> {
  const { clock, open } = world
  const model = new Model()
  const engines = [await open(), await open()]
  let given = 0
  const situation = { model, random, clock, next: () => ++given }
  /** Which operations were taken, and which refused. */
  const outcomes = new Set<string>()
  const isOver = () => {
    if (history.length < steps) return false
    const isMet = steps < STEPS || REACHED.every((outcome) => outcomes.has(outcome))
    return isMet || history.length >= LONGEST * steps
  }
  while (!isOver()) {
    if (random.oneIn(3)) clock.advance(random.below(random.oneIn(20) ? 700_000 : 20_000) / 1000)
    const which = random.below(engines.length)
    if (random.oneIn(200)) {
      await engines[which]?.close()
      engines[which] = await open()
    }
    const engine = engines[which]
    if (!engine) throw new Error('no engine')
    const step = chooseStep(situation)
    history.push(step)
    const came = await outcomeOf(() => step.onEngine(engine))
    const expected = await outcomeOf(async () => {
      const value = step.onModel(model)
      if (model.tellParents(clock.now()).length > 0) outcomes.add(`${step.operation} told a parent`)
      return value
    })
    expect(came, step.operation).toEqual(expected)
    await compare(engine, model)
    outcomes.add(`${step.operation} ${'refused' in came ? came.refused : amount(came.value)}`)
  }
  if (steps < STEPS) return
  for (const outcome of REACHED) expect(outcomes).toContain(outcome)
  expect(outcomes.size, [...outcomes].sort().join(', ')).toBeGreaterThan(40)
}

type Outcome = { value: unknown } | { refused: string }

async function outcomeOf(operation: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await operation() }
  } catch (error) {
    if (error instanceof QueueError) return { refused: error.code }
    throw error
  }
}

/** `some` where it came to something, be it runs, counts or a time. */
function amount(value: unknown): string {
  if (Array.isArray(value)) return value.some(Boolean) ? 'some' : 'none'
  return typeof value === 'string' ? 'some' : 'done'
}

const facts = (run: Run) => Object.fromEntries(COMPARED.map((field) => [field, run[field]]))

/** All runs and sessions there are, both ways. */
async function compare({ runs, sessions }: Engine, model: Model): Promise<void> {
  const stored = (await runs.list({ limit: 1000 })).runs
  model.settleRetries(stored)
  const listed = stored.map(facts)
  const modelled = [...model.runs].reverse().map(facts)
  // The quick comparison of all comes first, the one that tells the difference only if it fails.
  if (!isDeepStrictEqual(listed, modelled)) expect(listed).toEqual(modelled)
  const page = await sessions.list({ limit: 1000 })
  const statuses = page.sessions.map(({ session_id, status }) => [session_id, status])
  const expected = [...model.sessions].reverse().map(([id, { status }]) => [id, status])
  if (!isDeepStrictEqual(statuses, expected)) expect(statuses).toEqual(expected)
}
