/** What clients do. */
import { type Situation, type Step, someDemands } from './step.ts'

/** Deleting begins when there are so many. */
const SESSIONS_KEPT = 50

export function add({ random, clock, next }: Situation): Step {
  const id = next()
  const run = {
    run_id: `run_${id}`,
    // Now and then a session that may be there already.
    session_id: `ses_${random.oneIn(20) ? random.below(id) : id}`,
    type: 'start_session' as const,
    parameters: { prompt: 'x' },
    demands: someDemands(random),
    priority: random.below(3),
    max_attempts: 1 + random.below(3),
    timeout_seconds: 60 + random.below(600),
  }
  const now = clock.now()
  return {
    operation: 'add',
    given: run,
    onEngine: async ({ runs }) => void (await runs.add(run, now)),
    onModel: (model) => model.add(run, now),
  }
}

/** One run at a time: which of several decides on the session is told in the conformance tests. */
export function resume({ model, random, clock, next }: Situation): Step | null {
  const session_id = random.pick([...model.sessions.keys(), 'ses_unknown']) ?? ''
  if (model.activeOf(session_id)) return null
  const demands = someDemands(random)
  const run = {
    run_id: `run_${next()}`,
    type: 'resume_session' as const,
    parameters: { prompt: 'again' },
    ...{ session_id, demands },
  }
  const now = clock.now()
  return {
    operation: 'resume',
    given: run,
    onEngine: async ({ runs }) => void (await runs.add(run, now)),
    onModel: (model) => model.add(run, now),
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

export function retry({ model, random, clock, next }: Situation): Step {
  const ended = model.where('failed', 'stopped')
  const run = random.pick(random.oneIn(4) ? model.runs : ended)
  const [run_id, new_run_id, now] = [run?.run_id ?? 'run_unknown', `run_${next()}`, clock.now()]
  return {
    operation: 'retry',
    given: { run_id, new_run_id },
    onEngine: async ({ runs }) => void (await runs.retry(run_id, new_run_id, now)),
    onModel: (model) => model.retry(run_id, new_run_id, now),
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
