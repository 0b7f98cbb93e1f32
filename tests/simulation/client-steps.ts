/** What clients do. */
import { EXECUTION_MODES, type NewRun } from '../../src/queue/run.ts'
import type { AddBounds } from '../../src/queue/run-queue.ts'
import { type Situation, type Step, someDemands } from './step.ts'

/** From none to one that with its jitter is mostly more than a run ever waits. */
const RETRY_DELAYS = [0, 0.5, 7, 40, 80_000]
/** Deleting begins when there are so many. */
const SESSIONS_KEPT = 50

/** Now and then a bound that is just reached, or just not. */
function someBounds({ model, random }: Situation): AddBounds {
  if (!random.oneIn(4)) return { max_pending: null }
  return { max_pending: model.where('pending').length + random.below(4) }
}

/** Mostly one that is there. A chain of them stays far below the bound, which has a test of its own. */
function someParent({ model, random }: Situation): Partial<NewRun> {
  if (random.oneIn(2)) return {}
  const execution_mode = random.oneIn(2)
    ? 'async_callback'
    : (random.pick(EXECUTION_MODES) ?? 'sync')
  return {
    execution_mode,
    parent_session_id: random.pick([...model.sessions.keys()]) ?? 'ses_gone',
  }
}

function newRun(situation: Situation): NewRun {
  const { random, clock, next } = situation
  const id = next()
  return {
    run_id: `run_${id}`,
    // Now and then a session that may be there already.
    session_id: `ses_${random.oneIn(20) ? random.below(id) : id}`,
    type: 'start_session' as const,
    parameters: { prompt: 'x' },
    demands: someDemands(random),
    priority: random.below(3),
    max_attempts: 1 + random.below(3),
    retry_delay_seconds: random.oneIn(2) ? (random.pick(RETRY_DELAYS) ?? null) : null,
    on_lost: random.oneIn(2) ? 'requeue' : 'fail',
    available_at: random.oneIn(4) ? clock.ahead(random.below(60_000) / 1000 - 5) : null,
    timeout_seconds: 60 + random.below(600),
    ...someParent(situation),
  }
}

export function add(situation: Situation): Step {
  const [run, bounds, now] = [newRun(situation), someBounds(situation), situation.clock.now()]
  return {
    operation: 'add',
    given: { run, bounds },
    onEngine: async ({ runs }) => void (await runs.add(run, now, bounds)),
    onModel: (model) => model.add(run, now, bounds),
  }
}

export function addMany(situation: Situation): Step {
  const batch = Array.from({ length: situation.random.below(4) }, () => newRun(situation))
  const [bounds, now] = [someBounds(situation), situation.clock.now()]
  return {
    operation: 'addMany',
    given: { batch, bounds },
    onEngine: async ({ runs }) => void (await runs.addMany(batch, now, bounds)),
    onModel: (model) => model.addMany(batch, now, bounds),
  }
}

/** One run at a time: which of several decides on the session is told in the conformance tests. */
export function resume(situation: Situation): Step | null {
  const { model, random, clock } = situation
  const session_id = random.pick([...model.sessions.keys(), 'ses_unknown']) ?? ''
  if (model.activeOf(session_id)) return null
  const alone = { parent_session_id: null }
  const run = { ...newRun(situation), ...alone, type: 'resume_session' as const, session_id }
  const [bounds, now] = [someBounds(situation), clock.now()]
  return {
    operation: 'resume',
    given: { run, bounds },
    onEngine: async ({ runs }) => void (await runs.add(run, now, bounds)),
    onModel: (model) => model.add(run, now, bounds),
  }
}

export function stop({ model, random, clock }: Situation): Step {
  const run_id = random.oneIn(20) ? 'run_unknown' : (random.pick(model.runs)?.run_id ?? '')
  const now = clock.now()
  return {
    operation: 'stop',
    given: run_id,
    onEngine: async ({ runs }) => (await runs.stop(run_id, now)).outcome,
    onModel: (model) => model.stop(run_id, now),
  }
}

export function stopSession({ model, random, clock }: Situation): Step {
  const session_id = random.pick([...model.sessions.keys(), 'ses_unknown']) ?? ''
  const now = clock.now()
  return {
    operation: 'stopSession',
    given: session_id,
    onEngine: async ({ sessions }) => (await sessions.stop(session_id, now)).outcome,
    onModel: (model) => model.stopSession(session_id, now),
  }
}

export function deleteSession({ model, random }: Situation): Step | null {
  if (model.sessions.size < SESSIONS_KEPT && !random.oneIn(10)) return null
  // Mostly one that may be deleted, so that there are never very many more.
  const ended = [...model.sessions].filter(
    ([, { status }]) => status !== 'running' && status !== 'idle',
  )
  const known = random.oneIn(4) ? [...model.sessions] : ended
  const session_id = random.pick(known)?.[0] ?? 'ses_unknown'
  return {
    operation: 'deleteSession',
    given: session_id,
    onEngine: async ({ sessions }) => void (await sessions.delete(session_id)),
    onModel: (model) => model.deleteSession(session_id),
  }
}

export function retry(situation: Situation): Step {
  const { model, random, clock, next } = situation
  const ended = model.where('failed', 'stopped')
  const run = random.pick(random.oneIn(4) ? model.runs : ended)
  const [run_id, new_run_id, now] = [run?.run_id ?? 'run_unknown', `run_${next()}`, clock.now()]
  const bounds = someBounds(situation)
  return {
    operation: 'retry',
    given: { run_id, new_run_id, bounds },
    onEngine: async ({ runs }) => void (await runs.retry(run_id, new_run_id, now, bounds)),
    onModel: (model) => model.retry(run_id, new_run_id, now, bounds),
  }
}

export function setDemands({ model, random, clock }: Situation): Step {
  const run = random.pick(random.oneIn(4) ? model.runs : model.where('pending'))
  const [run_id, demands, now] = [run?.run_id ?? 'run_unknown', someDemands(random), clock.now()]
  const seconds = 60 + random.below(600)
  return {
    operation: 'setDemands',
    given: { run_id, demands, seconds },
    onEngine: async ({ runs }) => void (await runs.setDemands(run_id, demands, seconds, now)),
    onModel: (model) => model.setDemands(run_id, demands, seconds, now),
  }
}
