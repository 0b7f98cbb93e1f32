/**
 * The HTTP contract, in tests that know no engine: an engine's own test file opens a fixture and
 * calls this.
 */
import { describe } from 'vitest'
import type { OpenFixture } from '../conformance/fixture.ts'
import { describeAccess } from './access.ts'
import { describeAddRuns } from './add-runs.ts'
import { describeAddingMany } from './adding-many.ts'
import { describeBadInput } from './bad-input.ts'
import { describeCallbacks } from './callbacks.ts'
import { describeClient } from './client.ts'
import { describeDashboard } from './dashboard.ts'
import { describeDelays } from './delays.ts'
import { describeDescription } from './description.ts'
import { describeDrawnIds } from './drawn-ids.ts'
import { describeExplain } from './explain.ts'
import { describeFullQueue } from './full-queue.ts'
import { describeGeneral } from './general.ts'
import { describeHistory } from './history.ts'
import { describeLiveRuns } from './live-runs.ts'
import { describeLiveSessions } from './live-sessions.ts'
import { describeLogs } from './logs.ts'
import { describeLostClients } from './lost-clients.ts'
import { describeMetrics } from './metrics.ts'
import { describePolls } from './polls.ts'
import { describeRegistry } from './registry.ts'
import { describeRemoval } from './removal.ts'
import { describeReports } from './reports.ts'
import { describeRuns } from './runs.ts'
import { describeSessionEvents } from './session-events.ts'
import { describeSessions } from './sessions.ts'
import { describeStoppingRuns } from './stopping-runs.ts'
import { type Setup, setupOf } from './support/service.ts'
import { describeTokens } from './tokens.ts'
import { describeTraceContext } from './trace-context.ts'
import { describeWaiting } from './waiting.ts'
import { describeWaitingForTime } from './waiting-for-time.ts'

const SUBJECTS: ((setup: Setup) => void)[] = [
  describeGeneral,
  describeAccess,
  describeDescription,
  describeClient,
  describeTokens,
  describeAddRuns,
  describeAddingMany,
  describeDrawnIds,
  describeDelays,
  describeFullQueue,
  describeExplain,
  describeRuns,
  describeHistory,
  describeLiveRuns,
  describeLiveSessions,
  describeCallbacks,
  describeStoppingRuns,
  describeRegistry,
  describeReports,
  describeRemoval,
  describePolls,
  describeSessions,
  describeSessionEvents,
  describeBadInput,
  describeDashboard,
  describeMetrics,
  describeLogs,
  describeTraceContext,
]

/** Apart, for a file of its own: these wait more than they work. */
const WAITING: ((setup: Setup) => void)[] = [
  describeWaiting,
  describeWaitingForTime,
  describeLostClients,
]

export function describeHttp(name: string, openFixture: OpenFixture): void {
  describe(name, () => {
    for (const subject of SUBJECTS) subject(setupOf(openFixture))
  })
}

export function describeHttpWaiting(name: string, openFixture: OpenFixture): void {
  describe(name, () => {
    for (const subject of WAITING) subject(setupOf(openFixture))
  })
}
