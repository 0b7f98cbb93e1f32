/** A queue with an hour behind it, for pictures of the dashboard: the same each time but for the time. */
import { createHash } from 'node:crypto'
import type { Engine } from '../src/queue/engine.ts'
import { newRunId, newSessionId } from '../src/queue/ids.ts'
import type { ClaimedRun, NewRun } from '../src/queue/run.ts'
import type { NewRunner } from '../src/queue/runner.ts'
import { timestamp } from '../src/queue/time.ts'

const PROMPTS = [
  'Summarise what changed in the parser since the last release, for people who use it',
  'Find out why the nightly import takes twice as long since Tuesday',
  'Write tests for the rounding of invoice totals',
  'Translate the onboarding mails to Portuguese and keep the placeholders',
  'Review pull request 4821: does the retry loop ever end?',
  'Draft an answer to the question about data retention',
  'Measure the memory of the indexer with a million documents',
  'Rename the setting max_conn to max_connections everywhere, with a note in the changelog',
  'Read the last hundred support mails and list what comes up more than twice',
  'Check which licences our dependencies have',
]
const AGENTS = ['writer', 'reviewer', 'researcher', null]
const TICK_SECONDS = 5
const HOUR_TICKS = 3600 / TICK_SECONDS

const runner = (hostname: string, profile: string, tags: string[]): NewRunner => ({
  runner_id: `lnch_${createHash('sha256').update(hostname).digest('hex').slice(0, 12)}`,
  hostname,
  project_dir: '/srv/agents',
  executor_type: null,
  executor_profile: profile,
  executor: null,
  tags,
  require_matching_tags: false,
  agents: null,
})
const RUNNERS = [
  { runner: runner('build-1', 'coding', ['linux', 'x64']), slots: 2 },
  { runner: runner('build-2', 'coding', ['linux', 'arm64']), slots: 2 },
  { runner: runner('gpu-box', 'research', ['gpu', 'linux']), slots: 1 },
]
const GONE = runner('laptop-ana', 'coding', ['macos'])

/** Numbers from 0 to below 1 that are the same each time. */
function numbers(): () => number {
  let state = 11
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

interface AtWork {
  run: ClaimedRun
  runner_id: string
  until: number
}

export async function fillDemoQueue(engine: Engine, end: Date): Promise<void> {
  const { runs, runners } = engine
  const next = numbers()
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)] as T
  const at = (tick: number) =>
    timestamp(new Date(end.getTime() - (HOUR_TICKS - tick) * TICK_SECONDS * 1000))

  const newRun = (): NewRun => ({
    run_id: newRunId(),
    session_id: newSessionId(),
    type: 'start_session',
    parameters: { prompt: pick(PROMPTS) },
    agent_name: pick(AGENTS),
    max_attempts: next() < 0.3 ? 3 : 1,
    timeout_seconds: 24 * 3600,
    priority: next() < 0.1 ? 5 : 0,
    demands: next() < 0.12 ? { tags: ['gpu'] } : next() < 0.2 ? { tags: ['linux'] } : null,
  })

  for (const each of [GONE, ...RUNNERS.map((one) => one.runner)]) {
    await runners.register(each, at(0), at(0))
  }
  let work: AtWork[] = []
  for (let tick = 0; tick <= HOUR_TICKS; tick += 1) {
    const now = at(tick)
    const rush = 0.5 + 0.5 * Math.sin((tick / HOUR_TICKS) * 11 + 2.5)
    if (next() < 0.2 + rush * 0.75) await runs.add(newRun(), now)
    for (const { run, runner_id } of work.filter(({ until }) => until === tick)) {
      const report = { run_id: run.run_id, runner_id, claim_token: run.claim_token }
      if (next() < 0.07) {
        await runs.fail({ ...report, error: 'exit code 1\nTypeError: rate is not a function' }, now)
      } else {
        const result = { text: 'Done: see the branch.', data: null }
        await runs.complete({ ...report, session_status: 'finished', result }, now)
      }
    }
    work = work.filter(({ until }) => until > tick)
    for (const { runner, slots } of RUNNERS) {
      const { runner_id } = runner
      const free = slots - work.filter((each) => each.runner_id === runner_id).length
      const tokens = Array.from({ length: free }, () => newRunId())
      const claim = { runner_id, limit: free, claim_key: null, tokens }
      for (const run of free > 0 ? await runs.claim(claim, now) : []) {
        const report = { run_id: run.run_id, runner_id, claim_token: run.claim_token }
        await runs.start(report, now)
        work.push({ run, runner_id, until: tick + 2 + Math.floor(next() * 9) })
      }
      if (tick % 12 === 0) await runners.heartbeat(runner_id, now)
    }
  }
  const now = at(HOUR_TICKS)
  await runs.add(
    { ...newRun(), demands: { hostname: 'laptop-ana', tags: [] } },
    at(HOUR_TICKS - 40),
  )
  await runs.add({ ...newRun(), demands: { tags: ['windows'] }, timeout_seconds: 900 }, at(660))
  await runs.add({ ...newRun(), available_at: timestamp(new Date(end.getTime() + 1_500_000)) }, now)
  const [stopping] = work
  if (stopping) await runs.stop(stopping.run.run_id, now)
}
