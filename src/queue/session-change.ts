import type { Feed } from './feed.ts'
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

/**
 * Stored as the first change after a while in which nothing was written down: what was read before it
 * does not lead on to what comes after.
 */
export const RESUMED = 'resumed'

/** How often at most it is stored that somebody follows: less often than that, nobody does. */
export const RENEW_SECONDS = 600

/** What changes in sessions, which is written down only for so long as somebody follows it. */
export interface SessionFeed extends Feed<SessionChange> {
  /** Somebody follows at this time: what changes is written down from then on, if it was not before. */
  keep(now: Timestamp): Promise<void>
  /** Whether all is still there that came after a place. Of places that are none `read` tells. */
  isWhole(after: string): Promise<boolean>
  /** Nothing more is written down if nobody has followed since then. @returns whether that ended */
  rest(unusedSince: Timestamp): Promise<boolean>
}

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
  kind: SessionChangeKind | typeof RESUMED
  session_id: string
  data: JsonObject | null
  event: StoredEvent | null
}

/** @returns null for an event that went with its session, and where nothing changed */
export function sessionChange(stored: StoredChange): SessionChange | null {
  const { sequence, at, kind, session_id, event } = stored
  if (kind === RESUMED || (kind === 'event' && event === null)) return null
  return { sequence, at, kind, session_id, data: told(kind, stored) }
}

function told(kind: SessionChangeKind, { session_id, data, event }: StoredChange): JsonObject {
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
