/** What a server does as time goes by. */
import type { Engine } from '../../src/queue/engine.ts'
import { RECOVERY_MODES } from '../../src/queue/recovery.ts'
import type { Timestamp } from '../../src/queue/run.ts'
import { secondsBetween } from '../../src/queue/time.ts'
import { recoverAll } from '../../src/upkeep/recovery.ts'
import type { Model } from './model.ts'
import * as time from './passing-time.ts'
import { idsOf, movedBy, type Situation, type Step } from './step.ts'

/** More than there is: the bounds of sweeps have tests of their own. */
const ALL = 1000

type Sweep = (engine: Engine, before: Timestamp, now: Timestamp) => Promise<string[]>
type SweepOfModel = (model: Model, before: Timestamp, now: Timestamp) => string[]
const SWEEPS: [string, number, Sweep, SweepOfModel][] = [
  [
    'makeAvailable',
    0,
    async ({ runs }, _, now) => idsOf(await runs.makeAvailable(now, ALL)),
    (model, _, now) => time.makeAvailable(model, now),
  ],
  [
    'failTimedOut',
    0,
    async ({ runs }, _, now) => movedBy(await runs.failTimedOut(now, ALL)),
    (model, _, now) => time.failTimedOut(model, now),
  ],
  [
    'releaseUnstarted',
    60,
    async ({ runs }, before, now) => idsOf(await runs.releaseUnstarted(before, now, ALL)),
    time.releaseUnstarted,
  ],
  [
    'settleUnconfirmedStops',
    90,
    async ({ runs }, before, now) => movedBy(await runs.settleUnconfirmedStops(before, now, ALL)),
    time.settleUnconfirmedStops,
  ],
  [
    'deliverCallbacks',
    0,
    async ({ runs }, _, now) => idsOf((await runs.deliverCallbacks(null, now, ALL)).changes),
    (model, _, now) => model.tellAll(now),
  ],
  [
    'removeLost',
    600,
    async ({ runners }, before, now) =>
      (await runners.removeLost(before, now, ALL)).runner_ids.sort(),
    time.removeLost,
  ],
]

export function sweep({ model, random, clock }: Situation): Step | null {
  const chosen = random.pick(SWEEPS)
  if (!chosen) return null
  const [operation, age, onEngine, onModel] = chosen
  // Now and then at the very moment that a run waits for.
  const wait = secondsBetween(clock.now(), time.nextAvailableAt(model) ?? clock.now())
  if (operation === 'makeAvailable' && wait > 0 && wait < 100 && random.oneIn(3)) {
    clock.advance(wait)
  }
  const [before, now] = [clock.ago(age), clock.now()]
  return {
    operation,
    given: before,
    onEngine: (engine) => onEngine(engine, before, now),
    onModel: (model) => onModel(model, before, now).sort(),
  }
}

export function lookAhead(): Step {
  return {
    operation: 'nextAvailableAt',
    given: null,
    onEngine: ({ runs }) => runs.nextAvailableAt(),
    onModel: (model) => time.nextAvailableAt(model),
  }
}

export function recover({ random, clock }: Situation): Step {
  const mode = random.pick(RECOVERY_MODES) ?? 'none'
  const options = { thresholdSeconds: 300, aliveSince: clock.ago(120), dryRun: random.oneIn(3) }
  const now = clock.now()
  return {
    operation: 'recover',
    given: { mode, ...options },
    onEngine: async ({ runs }) => Object.values(await recoverAll(runs, mode, options, now)),
    onModel: (model) => time.recover(model, mode, options, now),
  }
}
