/** What runners do, rightly or not. */
import type { Engine } from '../../src/queue/engine.ts'
import type { Report } from '../../src/queue/run-queue.ts'
import type { Model } from './model.ts'
import {
  HOSTS,
  movedBy,
  RUNNERS,
  type Situation,
  type Step,
  someRun,
  someRunner,
  someTags,
} from './step.ts'

export function claim({ random, clock, next }: Situation): Step {
  const limit = 1 + random.below(3)
  const given = {
    runner_id: someRunner(random),
    limit,
    claim_key: random.oneIn(2) ? `key-${random.below(40)}` : null,
    tokens: Array.from({ length: limit }, () => `token-${next()}`),
  }
  const now = clock.now()
  return {
    operation: 'claim',
    given,
    onEngine: async ({ runs }) =>
      (await runs.claim(given, now)).map(({ run_id, claim_token }) => [run_id, claim_token]),
    onModel: (model) => model.claim(given, now),
  }
}

export function release(situation: Situation): Step | null {
  const run = someRun(situation)
  if (!run) return null
  const token = situation.random.oneIn(4) ? 'outdated' : (run.claim_token ?? '')
  const { run_id } = run
  const now = situation.clock.now()
  return {
    operation: 'release',
    given: { run_id, token },
    onEngine: async ({ runs }) => void (await runs.release(run_id, token, now)),
    onModel: (model) => model.giveBack(run_id, token, now),
  }
}

type Kind = 'start' | 'complete' | 'fail' | 'confirmStop'

/** Mostly by the runner that holds the run, with its token; else late, strange or wrong. */
export function report(situation: Situation, kind: Kind): Step | null {
  const { random, clock } = situation
  const run = someRun(situation)
  if (!run) return null
  const stranger = random.pick([...RUNNERS, 'lnch_unknown']) ?? ''
  const given: Report = {
    run_id: random.oneIn(40) ? 'run_unknown' : run.run_id,
    runner_id: random.oneIn(8) ? stranger : (run.runner_id ?? stranger),
    claim_token: random.oneIn(3) ? null : random.oneIn(8) ? 'outdated' : run.claim_token,
  }
  const now = clock.now()
  const error = `error ${random.below(9)}`
  const session_status = random.oneIn(2) ? 'idle' : 'finished'
  const end = { ...given, session_status, result: null } as const
  const step = { operation: kind, given: { ...given, error, session_status } }
  const sends = {
    start: {
      onEngine: async ({ runs }: Engine) => void (await runs.start(given, now)),
      onModel: (model: Model) => model.start(given, now),
    },
    complete: {
      onEngine: async ({ runs }: Engine) => void (await runs.complete(end, now)),
      onModel: (model: Model) => model.complete(given, session_status, now),
    },
    fail: {
      onEngine: async ({ runs }: Engine) => void (await runs.fail({ ...given, error }, now)),
      onModel: (model: Model) => model.fail(given, error, now),
    },
    confirmStop: {
      onEngine: async ({ runs }: Engine) => void (await runs.confirmStop(given, now)),
      onModel: (model: Model) => model.confirmStop(given, now),
    },
  }
  return { ...step, ...sends[kind] }
}

export function takeStops({ random, clock }: Situation): Step {
  const runner_id = someRunner(random)
  const [now, resendBefore] = [clock.now(), clock.ago(60)]
  return {
    operation: 'takeStops',
    given: runner_id,
    onEngine: async ({ runs }) =>
      (await runs.takeStops(runner_id, now, resendBefore)).run_ids.sort(),
    onModel: (model) => model.takeStops(runner_id, now, resendBefore).sort(),
  }
}

export function register({ random, clock }: Situation): Step {
  const runner_id = someRunner(random)
  const runner = {
    runner_id,
    // Part of a runner's identity: the same id always comes from the same host.
    hostname: HOSTS[RUNNERS.indexOf(runner_id) % HOSTS.length] ?? '',
    project_dir: '/project',
    executor_type: null,
    executor_profile: 'coding',
    executor: null,
    agents: null,
    tags: random.oneIn(4) ? null : someTags(random),
    require_matching_tags: random.oneIn(4),
  }
  const [now, staleBefore] = [clock.now(), clock.ago(120)]
  return {
    operation: 'register',
    given: runner,
    onEngine: async ({ runners }) => void (await runners.register(runner, now, staleBefore)),
    onModel: (model) => model.register(runner, now, staleBefore),
  }
}

export function onRunner(
  { random, clock }: Situation,
  operation: 'heartbeat' | 'deregister',
): Step {
  const runner_id = random.pick([...RUNNERS, 'lnch_unknown']) ?? ''
  const now = clock.now()
  return {
    operation,
    given: runner_id,
    onEngine: ({ runners }) => runners[operation](runner_id, now),
    onModel: (model) => model[operation](runner_id, now),
  }
}

export function removeRunner({ random, clock }: Situation): Step {
  const runner_id = someRunner(random)
  const now = clock.now()
  return {
    operation: 'removeRunner',
    given: runner_id,
    onEngine: async ({ runners }) => movedBy(await runners.remove(runner_id, now)),
    onModel: (model) => model.remove(runner_id, now).sort(),
  }
}
