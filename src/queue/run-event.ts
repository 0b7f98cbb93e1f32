import type { Cause } from './cause.ts'
import { cursorText, parseCursor } from './cursor.ts'
import type { RunStatus, Timestamp } from './run.ts'

/** One change of a run: its status, its demands, or that its time came. */
export interface RunEvent {
  event_id: number
  run_id: string
  at: Timestamp
  /** Null: it was added. */
  from_status: RunStatus | null
  to_status: RunStatus
  /** Null: somebody changed it by plain SQL, which gives no reason. */
  cause: Cause | null
  /** `client`, `client:NAME` by the name of its token, `runner` (see runner_id), `service`, or null. */
  changed_by: string | null
  /** Who holds it, or held it until then. */
  runner_id: string | null
  attempt: number
  /** The beginning of the error that an attempt ended with. */
  detail: string | null
}

/** … as it is told to those who follow all runs. */
export interface LiveRunEvent extends RunEvent {
  session_id: string
}

/** What one look reads of the events of all runs. */
export const EVENTS_LIMIT = 500

export interface RunEventFilter {
  /** 1 to LIST_LIMIT. */
  limit: number
  /** `next_cursor` of the page before. */
  cursor?: string | undefined
}

export interface RunEventPage {
  events: RunEvent[]
  next_cursor: string | null
}

/** The last event of the page before; 0 is before all. @throws QueueError invalid_cursor */
export const eventCursor = (cursor: string | undefined): number =>
  cursor === undefined ? 0 : parseCursor(cursor).seq

/** @param rows one more than asked for where there is a next page */
export function eventPage(rows: RunEvent[], limit: number): RunEventPage {
  const events = rows.slice(0, limit)
  const last = events.at(-1)
  const next_cursor =
    rows.length > limit && last ? cursorText({ created_at: last.at, seq: last.event_id }) : null
  return { events, next_cursor }
}
