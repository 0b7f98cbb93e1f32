/** One look for whatever there is for a runner, in one transaction. */
import type { Timestamp } from '../queue/run.ts'
import type { Claim, PollOutcome } from '../queue/run-queue.ts'
import type { Claims } from './claim.ts'
import type { Registry } from './runners.ts'
import type { Stops } from './stop.ts'

interface Parts {
  registry: Registry
  stops: Stops
  claims: Claims
}

export function createPoll({ registry, stops, claims }: Parts) {
  return function poll(claim: Claim, now: Timestamp, resendBefore: Timestamp): PollOutcome {
    const { runner_id } = claim
    const runner = registry.get(runner_id)
    if (!runner) return { kind: 'not_registered' }
    if (runner.deregistered_at) {
      registry.remove(runner_id, now)
      return { kind: 'deregistered' }
    }
    if (stops.hasStops(runner_id, resendBefore)) {
      return { kind: 'stops', stops: stops.takeStops(runner_id, now, resendBefore) }
    }
    const runs = claim.limit > 0 ? claims.claim(claim, now) : []
    return runs.length > 0 ? { kind: 'runs', runs } : { kind: 'nothing', runner }
  }
}
