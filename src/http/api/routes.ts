/** Every route of the API, as it is described. A test compares it with what is mounted. */
import { LIVE } from './live.ts'
import type { Routes } from './route.ts'
import { RUNNER } from './runner.ts'
import { RUNNERS } from './runners.ts'
import { RUNS } from './runs.ts'
import { SERVICE } from './service.ts'
import { SESSIONS } from './sessions.ts'

/** In groups, as the documentation shows them. */
export const ROUTES: Readonly<Record<string, Routes>> = {
  Runs: RUNS,
  Sessions: SESSIONS,
  'Live streams': LIVE,
  Runners: { ...RUNNERS, ...RUNNER },
  Service: SERVICE,
}
