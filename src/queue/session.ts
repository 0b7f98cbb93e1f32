import type { JsonValue, Timestamp } from './run.ts'

export const SESSION_STATUSES = [
  'pending',
  'running',
  'idle',
  'stopping',
  'stopped',
  'finished',
  'failed',
] as const
export type SessionStatus = (typeof SESSION_STATUSES)[number]
/** Somebody works with it, or may go on with it: what it needs for that is kept. */
export const AT_HAND_STATUSES = [
  'pending',
  'running',
  'idle',
  'stopping',
] as const satisfies readonly SessionStatus[]

/** A conversation that runs belong to: started by one run, resumed by later ones. */
export interface Session {
  session_id: string
  status: SessionStatus
  created_at: Timestamp
  project_dir: string | null
  agent_name: string | null
  last_resumed_at: Timestamp | null
  parent_session_id: string | null
  executor_session_id: string | null
  executor_profile: string | null
  hostname: string | null
}

/** Where a session lives, once its executor has bound it. */
export interface Binding {
  executor_session_id: string
  hostname: string
  /** Null with executors of the older generation, which state their type instead. */
  executor_profile: string | null
  executor_type: string | null
  project_dir?: string | null
}

/** The metadata a client may change; what is absent or null stays as it is. */
export type SessionMetadata = {
  [field in
    | 'project_dir'
    | 'agent_name'
    | 'last_resumed_at'
    | 'executor_session_id'
    | 'executor_profile'
    | 'executor_type'
    | 'hostname']?: string | null | undefined
}

/** Something that happened in a session, as its executor or this service tells it. */
export interface SessionEvent {
  id: number
  session_id: string
  event_type: string
  timestamp: Timestamp
  tool_name: string | null
  tool_input: JsonValue
  tool_output: JsonValue
  error: string | null
  exit_code: number | null
  reason: string | null
  role: string | null
  content: JsonValue
  result_text: string | null
  result_data: JsonValue
}

export type NewSessionEvent = Pick<SessionEvent, 'event_type' | 'session_id' | 'timestamp'> &
  Partial<Omit<SessionEvent, 'id'>>

export interface SessionResult {
  result_text: string | null
  result_data: JsonValue
}
