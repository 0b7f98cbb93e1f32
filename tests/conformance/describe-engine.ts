/**
 * What every engine must do, in tests that know no engine: an engine's own test file opens a
 * fixture and calls this.
 */
import { describe } from 'vitest'
import { describeAdd } from './add.ts'
import { describeAddMany } from './add-many.ts'
import { describeAvailable } from './available.ts'
import { describeCallbacks } from './callbacks.ts'
import { describeChanges } from './changes.ts'
import { describeClaim } from './claim.ts'
import { describeClaimAgain } from './claim-again.ts'
import { describeClaimMatch } from './claim-match.ts'
import { describeClaimRule } from './claim-rule.ts'
import { describeConcurrency } from './concurrency.ts'
import { describeFeeds } from './feeds.ts'
import type { OpenFixture } from './fixture.ts'
import { describeHistory } from './history.ts'
import { describeIdempotency } from './idempotency.ts'
import { describeInsight } from './insight.ts'
import { describeInsightRule } from './insight-rule.ts'
import { describeLists } from './lists.ts'
import { describeMaxPending } from './max-pending.ts'
import { describeMetrics } from './metrics.ts'
import { describeOnLost } from './on-lost.ts'
import { describeOverview } from './overview.ts'
import { describeOwnership } from './ownership.ts'
import { describeParents } from './parents.ts'
import { describePoll } from './poll.ts'
import { describePrune } from './prune.ts'
import { describeRecovery } from './recovery.ts'
import { describeRemoval } from './removal.ts'
import { describeReports } from './reports.ts'
import { describeResume } from './resume.ts'
import { describeRetry } from './retry.ts'
import { describeRetryDelay } from './retry-delay.ts'
import { describeRunRate } from './run-rate.ts'
import { describeRunners } from './runners.ts'
import { describeSessionResult } from './session-result.ts'
import { describeSessionStop } from './session-stop.ts'
import { describeSessions } from './sessions.ts'
import { describeSetDemands } from './set-demands.ts'
import { describeStop } from './stop.ts'
import { describeSweep } from './sweep.ts'
import { describeTokens } from './tokens.ts'
import { describeTransitions } from './transitions.ts'
import { type Setup, setupOf } from './world.ts'

const SUBJECTS: ((setup: Setup) => void)[] = [
  describeAdd,
  describeResume,
  describeIdempotency,
  describeAddMany,
  describeMaxPending,
  describeParents,
  describeClaim,
  describeClaimMatch,
  describeClaimAgain,
  describeClaimRule,
  describePoll,
  describeTransitions,
  describeReports,
  describeStop,
  describeAvailable,
  describeRetry,
  describeRetryDelay,
  describeSetDemands,
  describeSweep,
  describeRecovery,
  describePrune,
  describeRunners,
  describeRemoval,
  describeOnLost,
  describeCallbacks,
  describeTokens,
  describeOwnership,
  describeRunRate,
  describeSessions,
  describeSessionStop,
  describeSessionResult,
  describeLists,
  describeHistory,
  describeFeeds,
  describeInsight,
  describeInsightRule,
  describeOverview,
  describeChanges,
  describeMetrics,
  describeConcurrency,
]

export function describeEngine(name: string, openFixture: OpenFixture): void {
  describe(name, () => {
    for (const subject of SUBJECTS) subject(setupOf(openFixture))
  })
}
