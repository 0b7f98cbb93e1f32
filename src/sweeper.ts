/**
 * What must happen as time passes: time-outs, claims that never started, runners that went away.
 * Every server process sweeps; the statements decide, so none has to lead.
 */
import type { Config } from './config.ts'
import type { Engine } from './queue/engine.ts'
import type { Timestamp } from './queue/run.ts'
import { addSeconds } from './queue/time.ts'

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
    every(config.sweepIntervalSeconds, () => sweepRuns(options), options.onError),
    every(config.lifecycleIntervalSeconds, () => sweepRunners(options), options.onError),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

async function sweepRuns({ engine, config, now, onSwept }: SweeperOptions): Promise<void> {
  const at = now()
  const tell = (what: string, runs: { run_id: string }[]) => {
    if (runs.length > 0) onSwept(what, { run_ids: runs.map(({ run_id }) => run_id) })
  }
  tell('no runner could take them in time', await engine.runs.failTimedOut(at, BATCH))
  const claimedBefore = addSeconds(at, -config.claimTimeoutSeconds)
  tell(
    'claimed but not started, pending again',
    await engine.runs.releaseUnstarted(claimedBefore, at, BATCH),
  )
  const requestedBefore = addSeconds(at, -STOP_CONFIRM_SECONDS)
  tell(
    'no runner confirmed the stop, taken as stopped',
    await engine.runs.settleUnconfirmedStops(requestedBefore, at, BATCH),
  )
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

/** One pass after the other, never two at once. */
function every(
  seconds: number,
  pass: () => Promise<void>,
  onError: (error: unknown) => void,
): () => void {
  let stopped = false
  let timer: NodeJS.Timeout
  const next = () => {
    if (stopped) return
    timer = setTimeout(() => {
      pass().catch(onError).finally(next)
    }, seconds * 1000)
  }
  next()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
