/** One look for whatever there is for a runner. */
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
  return async function poll(
    claim: Claim,
    now: Timestamp,
    resendBefore: Timestamp,
  ): Promise<PollOutcome> {
    const { runner_id } = claim
    const asked = await stops.askRunner(claim, now, resendBefore)
    if (!asked) return { kind: 'not_registered' }
    const { has_stops, refused: _, ...runner } = asked
    if (runner.deregistered_at) {
      const changes = await registry.remove(runner_id, now, because('runner_removed', 'service'))
      return changes === null ? { kind: 'not_registered' } : { kind: 'deregistered', changes }
    }
    if (has_stops) {
      const taken = await stops.takeStops(runner_id, now, resendBefore)
      // Another poll of this runner may have had them meanwhile.
      if (taken.run_ids.length + taken.session_ids.length > 0)
        return { kind: 'stops', stops: taken }
    }
    const runs = claim.limit > 0 ? await claims.claim(claim, now) : []
    return runs.length > 0 ? { kind: 'runs', runs } : { kind: 'nothing', runner }
  }
}
