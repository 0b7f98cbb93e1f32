/** runqueue as a library: the queue in one's own process, on the same database as its servers. */

export { type Demands, type DemandsInput, satisfies } from './queue/demands.ts'
export type { Changes, Engine, News } from './queue/engine.ts'
export { DatabaseOpenError, QueueError, type QueueErrorCode } from './queue/errors.ts'
export { newClaimToken, newRunId, newSessionId, runnerId } from './queue/ids.ts'
export type * from './queue/run.ts'
export type * from './queue/run-queue.ts'
export type * from './queue/runner.ts'
export type * from './queue/runners.ts'
export type * from './queue/session.ts'
export type * from './queue/sessions.ts'
export type * from './queue/storage.ts'
export { openSqliteEngine, type SqliteOptions } from './sqlite/engine.ts'
