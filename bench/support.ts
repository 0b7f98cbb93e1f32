/** What the sections share: temporary databases, repeats, figures. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../src/queue/engine.ts'
import { newClaimToken, newRunId, newSessionId } from '../src/queue/ids.ts'
import type { NewRun } from '../src/queue/run.ts'
import type { NewRunner } from '../src/queue/runner.ts'

/** Rounds of measurements. */
export const REPEATS = 3

/** One line of the table: a ratio (or a figure) with what it must reach. */
export interface Figure {
  what: string
  value: number
  unit: '×' | 'ms' | '%' | 'MB' | ''
  bar: number
  aim: number
  better: 'less' | 'more'
  /** The measurements behind it. */
  detail: string
}

export const now = (): string => new Date().toISOString()

export const median = (values: number[]): number => quantile(values, 0.5)

export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Runs with a fresh folder that is removed afterwards. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'runqueue-bench-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Takes the measurements in turn, each on a fresh folder, round after round: a machine that others
 * use too is faster in one minute than in the next, and what is compared must have the same minute.
 */
export async function inTurn<Name extends string>(
  measurements: Record<Name, (folder: string) => Promise<number>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(measurements) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >
  for (let round = 1; round <= REPEATS; round++) {
    for (const name of names) {
      say(`  ${name} (${round} of ${REPEATS})`)
      values[name].push(await withFolder(measurements[name]))
    }
  }
  return values
}

/** The median of the rounds' ratios. */
export const medianRatio = (values: number[], to: number[]): number =>
  median(values.map((value, round) => value / (to[round] ?? Number.NaN)))

const newRun = (): NewRun => ({
  run_id: newRunId(),
  session_id: newSessionId(),
  type: 'start_session',
  parameters: { prompt: 'summarise the report and send it to the team' },
})

const benchRunner = (runner_id: string): NewRunner => ({
  runner_id,
  hostname: 'bench-host',
  project_dir: '/bench',
  executor_type: 'shell',
  executor_profile: 'default',
  executor: null,
  agents: null,
  tags: ['bench', 'gpu'],
  require_matching_tags: false,
})

export const register = (engine: Engine, runner_id: string) =>
  engine.runners.register(benchRunner(runner_id), now(), now())

/** add → claim → start → complete: whatever run comes, as a runner does it. */
export async function lifecycle(engine: Engine, runner_id: string): Promise<void> {
  await engine.runs.add(newRun(), now())
  const claim = { runner_id, limit: 1, claim_key: null, tokens: [newClaimToken()] }
  const [run] = await engine.runs.claim(claim, now())
  if (!run) throw new Error('nothing to claim although a run was just added')
  const report = { run_id: run.run_id, runner_id, claim_token: run.claim_token }
  await engine.runs.start(report, now())
  await engine.runs.complete({ ...report, session_status: 'finished', result: null }, now())
}

/** Progress, on stderr: the table alone is the output. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
