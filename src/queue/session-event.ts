/** Events of sessions as they are told, and what was said in them. */
import type { JsonValue, Timestamp } from './run.ts'
import type { SessionEvent } from './session.ts'

/** As engines store it: what the event carries beside these is its payload. */
export interface StoredEvent {
  id: number
  event_type: string
  timestamp: Timestamp
  payload: Record<string, JsonValue>
}

/** Every key is there, null when unset. */
export function sessionEvent(session_id: string, event: StoredEvent) {
  const { id, event_type, timestamp, payload } = event
  return {
    id,
    session_id,
    event_type,
    timestamp,
    tool_name: null,
    tool_input: null,
    tool_output: null,
    error: null,
    exit_code: null,
    reason: null,
    role: null,
    content: null,
    result_text: null,
    result_data: null,
    ...payload,
  } as SessionEvent
}

/** Messages are a list of blocks; the first says what was said. */
export function messageText(content: JsonValue): string | null {
  if (typeof content === 'string') return content
  const block = Array.isArray(content) ? content[0] : null
  const text = block && typeof block === 'object' && !Array.isArray(block) ? block['text'] : null
  return typeof text === 'string' ? text : null
}
