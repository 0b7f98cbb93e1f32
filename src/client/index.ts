export type { ClaimedRunView, RunnerView, RunView } from '../http/views.ts'
export type { RunExplanation, RunnerExplanation } from '../queue/insight.ts'
export type { RunEvent, RunEventPage } from '../queue/run-event.ts'
export {
  type AddRunAnswer,
  type AddRunRequest,
  type ClaimAnswer,
  type ClaimRequest,
  type RegisterAnswer,
  type RegisterRequest,
  type Report,
  type RunListQuery,
  RunqueueClient,
  type StopAnswer,
} from './client.ts'
export { ApiError, ConnectionError, isTokenRefused } from './errors.ts'
