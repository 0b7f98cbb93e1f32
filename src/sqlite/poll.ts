/** One look for whatever there is for a runner, in one transaction. */
import { because } from '../queue/cause.ts'
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
    const asked = stops.askRunner(runner_id, resendBefore)
    if (!asked) return { kind: 'not_registered' }
    if (asked.deregistered_at) {
      const changes = registry.remove(runner_id, now, because('runner_removed', 'service'))
      return { kind: 'deregistered', changes: changes ?? [] }
    }
    if (asked.has_stops) {
      return { kind: 'stops', stops: stops.takeStops(runner_id, now, resendBefore) }
    }
    const runs = claim.limit > 0 ? claims.claim(claim, now) : []
    if (runs.length > 0) return { kind: 'runs', runs }
    // Only those who wait are looked at whole: their tags decide what wakes them.
    const runner = registry.get(runner_id)
    return runner ? { kind: 'nothing', runner } : { kind: 'not_registered' }
  }
}
