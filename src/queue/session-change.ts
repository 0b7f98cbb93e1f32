import type { JsonObject, JsonValue, Timestamp } from './run.ts'
import { type StoredEvent, sessionEvent } from './session-event.ts'

/** The words of the live stream of sessions. */
export const SESSION_CHANGES = [
  'session_created',
  'session_updated',
  'session_deleted',
  'event',
  'run_failed',
] as const
export type SessionChangeKind = (typeof SESSION_CHANGES)[number]

/** Something that happened to a session, in the order in which all were committed. */
export interface SessionChange {
  /** Grows with each change, is the same for all who read it, and never comes back. */
  sequence: number
  at: Timestamp
  session_id: string
  kind: SessionChangeKind
  /** As the stream tells it. */
  data: JsonObject
}

/** As engines store it. */
export interface StoredChange {
  sequence: number
  at: Timestamp
  kind: SessionChangeKind
  session_id: string
  data: JsonObject | null
  event: StoredEvent | null
}

/** @returns null for an event that went with its session */
export function sessionChange(stored: StoredChange): SessionChange | null {
  const { sequence, at, kind, session_id, event } = stored
  const data = told(stored)
  return kind === 'event' && event === null ? null : { sequence, at, kind, session_id, data }
}

function told({ kind, session_id, data, event }: StoredChange): JsonObject {
  switch (kind) {
    case 'session_created':
    case 'session_updated':
      return { session: data }
    case 'session_deleted':
      return { session_id }
    case 'event':
      return { data: event && (sessionEvent(session_id, event) as unknown as JsonValue) }
    case 'run_failed':
      return { ...data, session_id }
  }
}

/** What one look reads at most: events may be large. */
export const CHANGES_LIMIT = 50
export const CHANGES_BYTES = 4 * 1024 * 1024
