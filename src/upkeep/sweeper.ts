/**
 * What must happen as time passes: runs whose time comes, time-outs, claims that never started,
 * runners that went away, runs that were kept long enough.
 * Every server process sweeps; the statements decide, so none has to lead.
 */
import type { Config } from '../config.ts'
import type { Engine } from '../queue/engine.ts'
import type { Timestamp } from '../queue/run.ts'
import type { RunChange } from '../queue/run-change.ts'
import { addSeconds, secondsBetween } from '../queue/time.ts'
import { foldAll } from './folding.ts'
import { pause } from './pause.ts'
import { deleteOld } from './retention.ts'
import { watchSilence } from './silence.ts'
import { isDatabaseTrouble } from './trouble.ts'

/** What one statement changes at most; the next pass takes the rest. */
const BATCH = 500
/** Parents looked at in one pass, of those for whom something waits. */
const PARENT_BATCH = 100
/** Runners removed in one pass: each may hold some runs. */
const RUNNER_BATCH = 50
/** A runner that has not confirmed a stop by then will not: it kills after some seconds. */
const STOP_CONFIRM_SECONDS = 300

/** How often what happened is added to the metrics' totals. */
const FOLD_SECONDS = 10

/** So long after nobody follows them any more changes of sessions are written down still, … */
const FOLLOWED_SECONDS = 3600
/** … and so often that is looked at. */
const FOLLOWERS_SECONDS = 60

/** A heartbeat may be late by half its interval. */
const GRACE_INTERVALS = 1.5

export interface SweeperOptions {
  engine: Engine
  config: Pick<
    Config,
    | 'sweepIntervalSeconds'
    | 'lifecycleIntervalSeconds'
    | 'claimTimeoutSeconds'
    | 'removeThresholdSeconds'
    | 'heartbeatIntervalSeconds'
    | 'retentionSeconds'
  >
  now: () => Timestamp
  /** Milliseconds that pass evenly, also when `now` is set to another time. */
  elapsedMs: () => number
  /** Each change of a run that a sweep made. */
  onChanged: (changes: RunChange[]) => void
  /** What else a sweep did, in words and facts. */
  onSwept: (what: string, facts: Record<string, unknown>) => void
  /** A pass failed: told once, not again until it went well or fails for another cause. */
  onError: (error: unknown) => void
}

export interface Sweeper {
  /** The database refused somebody, so heartbeats may be missing through no fault of the runner. */
  excuseSilence(): void
  /** Resolves when the passes at hand are over. */
  stop(): Promise<void>
}

export function startSweeper(options: SweeperOptions): Sweeper {
  const { config, onError, onSwept, ...clocks } = options
  const { sweepIntervalSeconds, lifecycleIntervalSeconds, retentionSeconds } = config
  const silence = watchSilence({
    ...clocks,
    graceSeconds: config.heartbeatIntervalSeconds * GRACE_INTERVALS,
    lookSeconds: sweepIntervalSeconds,
    onJump: (seconds) => onSwept('the clock jumped, runners get time to give a sign', { seconds }),
  })
  const fail = (error: unknown, isNews: boolean) => {
    if (isDatabaseTrouble(error)) silence.excuse()
    if (isNews) onError(error)
  }
  const stopping = new AbortController()
  const { signal } = stopping
  const often = { seconds: sweepIntervalSeconds }
  const passes = [
    // At once, since runs may have become due while no server was there.
    every({ ...often, first: 0 }, () => makeAvailable(options), fail, signal),
    every(often, () => sweepRuns(options, silence.counts()), fail, signal),
    every(often, deliveringCallbacks(options), fail, signal),
    every(
      { seconds: lifecycleIntervalSeconds },
      async () => {
        if (silence.counts()) await sweepRunners(options)
      },
      fail,
      signal,
    ),
  ]
  const restIfUnfollowed = async () => {
    // Followers of before a long sleep have not said yet that they still do.
    if (silence.counts()) await restSessionFeed(options)
  }
  passes.push(every({ seconds: FOLLOWERS_SECONDS }, restIfUnfollowed, fail, signal))
  const { metrics } = options.engine
  passes.push(every({ seconds: FOLD_SECONDS }, () => foldAll(metrics, signal), fail, signal))
  if (retentionSeconds !== null) {
    const keep = { ...options, retentionSeconds, signal }
    // Often enough that little is overdue, seldom enough that looking costs nothing.
    const seconds = Math.min(60, Math.max(sweepIntervalSeconds, retentionSeconds / 20))
    passes.push(every({ seconds }, () => deleteOld(keep), fail, signal))
  }
  return {
    excuseSilence: silence.excuse,
    async stop() {
      stopping.abort()
      await Promise.all(passes)
    },
  }
}

/**
 * Runs whose time comes; until then it costs a read.
 * @returns in how many seconds the next one's comes; undefined where none waits
 */
export async function makeAvailable({
  engine,
  now,
  onChanged,
}: SweeperOptions): Promise<number | undefined> {
  const at = now()
  const next = await engine.runs.nextAvailableAt()
  if (next === null) return undefined
  if (next > at) return secondsBetween(at, next)
  onChanged(await engine.runs.makeAvailable(at, BATCH))
  return 0
}

export async function sweepRuns(options: SweeperOptions, silenceCounts: boolean): Promise<void> {
  const { engine, config, now, onChanged } = options
  const { runs } = engine
  const at = now()
  onChanged(await runs.failTimedOut(at, BATCH))
  if (silenceCounts) {
    onChanged(await runs.releaseUnstarted(addSeconds(at, -config.claimTimeoutSeconds), at, BATCH))
    const requestedBefore = addSeconds(at, -STOP_CONFIRM_SECONDS)
    onChanged(await runs.settleUnconfirmedStops(requestedBefore, at, BATCH))
  }
}

/** What plain SQL ended; all else tells parents itself. Mostly it costs a look at an empty table. */
export function deliveringCallbacks({
  engine,
  now,
  onChanged,
}: SweeperOptions): () => Promise<void> {
  // Where to look next: if that is lost, the next pass begins anew.
  let after: string | null = null
  return async () => {
    const { changes, next } = await engine.runs.deliverCallbacks(after, now(), PARENT_BATCH)
    after = next
    onChanged(changes)
  }
}

/** Who was told before and comes again is told that something is missing between. */
export async function restSessionFeed({
  engine,
  now,
  onSwept,
}: Pick<SweeperOptions, 'engine' | 'now' | 'onSwept'>): Promise<void> {
  const rests = await engine.sessionFeed.rest(addSeconds(now(), -FOLLOWED_SECONDS))
  if (rests) onSwept('nobody follows sessions any more, their changes are not written down', {})
}

export async function sweepRunners(options: SweeperOptions): Promise<void> {
  const { engine, config, now, onChanged, onSwept } = options
  const at = now()
  const silentSince = addSeconds(at, -config.removeThresholdSeconds)
  const lost = await engine.runners.removeLost(silentSince, at, RUNNER_BATCH)
  for (const runner_id of lost.runner_ids) {
    onSwept('runner gave no sign of life, removed', { runner_id })
  }
  onChanged(lost.changes)
}

/**
 * One pass after the other, never two at once. Resolves when stopped, after the pass at hand.
 * @param pass may come to a number: in how many seconds it wants the next, if that is earlier
 */
async function every(
  { seconds, first = seconds }: { seconds: number; first?: number },
  pass: () => Promise<unknown>,
  onError: (error: unknown, isNews: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  let failure: string | null = null
  let wait = first
  for (;;) {
    await pause(wait * 1000, signal)
    if (signal.aborted) return
    wait = seconds
    try {
      const wish = await pass()
      if (typeof wish === 'number') wait = Math.min(wish, seconds)
      failure = null
    } catch (error) {
      const cause = String(error)
      onError(error, cause !== failure)
      failure = cause
    }
  }
}
