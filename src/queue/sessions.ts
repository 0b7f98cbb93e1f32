import type { Timestamp } from './run.ts'
import type { RunChange } from './run-change.ts'
import type {
  Binding,
  NewSessionEvent,
  Session,
  SessionEvent,
  SessionMetadata,
  SessionResult,
  SessionStatus,
} from './session.ts'
import type { Caller } from './token.ts'

/** What `GET …/events` gives at most. */
export const SESSION_EVENTS_LIMIT = 100

export interface SessionPage {
  sessions: Session[]
  next_cursor: string | null
}

export interface DeletedSession {
  events_count: number
  runs_count: number
}

export interface SessionStop {
  session: Session
  /** The run that was asked to stop, if one was active. */
  run_id: string | null
  /** `asked_before`, `ended`: nothing was changed. */
  outcome: 'cancelled' | 'requested' | 'asked_before' | 'ended'
  changes: RunChange[]
}

/** The sessions. Where one is named that does not exist: QueueError `session_not_found`. */
export interface Sessions {
  get(session_id: string): Promise<Session | null>
  /** Newest first. */
  list(page: { limit: number; cursor?: string | undefined }): Promise<SessionPage>
  /** Where its executor runs it; the session is running then, unless it is being stopped or ended badly. */
  bind(session_id: string, binding: Binding, now: Timestamp): Promise<Session>
  update(session_id: string, metadata: SessionMetadata, now: Timestamp): Promise<Session>
  addEvent(event: NewSessionEvent): Promise<void>
  /** Oldest first, at most {@link SESSION_EVENTS_LIMIT}. */
  events(session_id: string): Promise<SessionEvent[]>
  /**
   * The result of the latest completed run: as its runner reported it, else as its executor told
   * it in a `result` event, else the last message of the assistant.
   * @throws QueueError session_not_finished, result_not_found
   */
  result(session_id: string): Promise<SessionResult>
  /**
   * Stops what is active in it: the run, or, when it is idle, the executor that waits with its
   * last runner.
   */
  stop(session_id: string, now: Timestamp, caller?: Caller | null): Promise<SessionStop>
  /**
   * A runner tells how the executor of a session that it served ended.
   * @throws QueueError runner_not_registered; see `Runners` for the caller
   */
  report(
    session_id: string,
    runner_id: string,
    status: Extract<SessionStatus, 'finished' | 'failed' | 'stopped'>,
    now: Timestamp,
    caller?: Caller | null,
  ): Promise<void>
  /** Deletes it with its runs and events. @throws QueueError session_active */
  delete(session_id: string): Promise<DeletedSession>
}
