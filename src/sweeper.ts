/**
 * What must happen as time passes: runs whose time comes, time-outs, claims that never started, runners that went away.
 * Every server process sweeps; the statements decide, so none has to lead.
 */
import type { Config } from './config.ts'
import type { Engine } from './queue/engine.ts'
import type { Timestamp } from './queue/run.ts'
import { addSeconds, secondsBetween } from './queue/time.ts'

/** What one statement changes at most; the next pass takes the rest. */
const BATCH = 500
/** Runners removed in one pass: each may hold some runs. */
const RUNNER_BATCH = 50
/** A runner that has not confirmed a stop by then will not: it kills after some seconds. */
const STOP_CONFIRM_SECONDS = 300

export interface SweeperOptions {
  engine: Engine
  config: Pick<
    Config,
    | 'sweepIntervalSeconds'
    | 'lifecycleIntervalSeconds'
    | 'claimTimeoutSeconds'
    | 'removeThresholdSeconds'
  >
  now: () => Timestamp
  /** What a sweep changed, in words and facts. */
  onSwept: (what: string, facts: Record<string, unknown>) => void
  onError: (error: unknown) => void
}

/** Sweeps until the returned function is called. */
export function startSweeper(options: SweeperOptions): () => void {
  const { config } = options
  const stops = [
    // At once, since runs may have become due while no server was there.
    every(config.sweepIntervalSeconds, () => makeAvailable(options), options.onError, 0),
    every(config.sweepIntervalSeconds, () => sweepRuns(options), options.onError),
    every(config.lifecycleIntervalSeconds, () => sweepRunners(options), options.onError),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/**
 * Runs whose time comes; until then it costs a read.
 * @returns in how many seconds the next one's comes; undefined where none waits
 */
async function makeAvailable({
  engine,
  now,
  onSwept,
}: SweeperOptions): Promise<number | undefined> {
  const at = now()
  const next = await engine.runs.nextAvailableAt()
  if (next === null) return undefined
  if (next > at) return secondsBetween(at, next)
  tell(onSwept, 'their time has come, available', await engine.runs.makeAvailable(at, BATCH))
  return 0
}

async function sweepRuns({ engine, config, now, onSwept }: SweeperOptions): Promise<void> {
  const at = now()
  tell(onSwept, 'no runner could take them in time', await engine.runs.failTimedOut(at, BATCH))
  const claimedBefore = addSeconds(at, -config.claimTimeoutSeconds)
  tell(
    onSwept,
    'claimed but not started, pending again',
    await engine.runs.releaseUnstarted(claimedBefore, at, BATCH),
  )
  const requestedBefore = addSeconds(at, -STOP_CONFIRM_SECONDS)
  tell(
    onSwept,
    'no runner confirmed the stop, taken as stopped',
    await engine.runs.settleUnconfirmedStops(requestedBefore, at, BATCH),
  )
}

function tell(onSwept: SweeperOptions['onSwept'], what: string, runs: { run_id: string }[]): void {
  if (runs.length > 0) onSwept(what, { run_ids: runs.map(({ run_id }) => run_id) })
}

async function sweepRunners(options: SweeperOptions): Promise<void> {
  const { engine, config, now, onSwept } = options
  const at = now()
  const silentSince = addSeconds(at, -config.removeThresholdSeconds)
  for (const { runner_id, runs } of await engine.runners.removeLost(
    silentSince,
    at,
    RUNNER_BATCH,
  )) {
    onSwept('runner gave no sign of life, removed', {
      runner_id,
      run_ids: runs.map(({ run_id }) => run_id),
    })
  }
}

/**
 * One pass after the other, never two at once.
 * @param pass may come to a number: in how many seconds it wants the next, if that is earlier
 */
function every(
  seconds: number,
  pass: () => Promise<unknown>,
  onError: (error: unknown) => void,
  first = seconds,
): () => void {
  let stopped = false
  let timer: NodeJS.Timeout
  const next = (wish: unknown) => {
    if (stopped) return
    const wait = typeof wish === 'number' ? Math.min(wish, seconds) : seconds
    timer = setTimeout(() => pass().catch(onError).then(next), wait * 1000)
  }
  next(first)
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
