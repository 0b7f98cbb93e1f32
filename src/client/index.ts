export {
  type AddRunAnswer,
  type AddRunRequest,
  ApiError,
  type ClaimAnswer,
  type ClaimRequest,
  ConnectionError,
  type RegisterAnswer,
  type RegisterRequest,
  type Report,
  type RunListQuery,
  RunqueueClient,
  type StopAnswer,
} from './client.ts'
