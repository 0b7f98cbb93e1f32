/** What happens to runs, as it happens: GET /events, taken up again where it broke off. */
import type { RunStatus } from '../queue/run.ts'
import type { LiveRunEvent } from '../queue/run-event.ts'
import { ApiError, apiError, ConnectionError } from './errors.ts'
import { pause, pauseSeconds } from './retry.ts'
import { readServerSentEvents } from './server-sent-events.ts'
import type { Transport } from './transport.ts'

export interface EventsQuery {
  run_id?: string
  session_id?: string
  /** Only changes to these. */
  status?: RunStatus[]
  /** Begin after this one, which an earlier iteration gave; else with what happens from now on. */
  last_event_id?: string | number
  /** Ends the iteration; its reason is thrown. */
  signal?: AbortSignal
}

/** Servers send a comment now and then: after so long without a word the connection is dead. */
const SILENCE_MS = 90_000
/** However often it failed, the pauses grow no more. */
const SLOWEST_ATTEMPT = 7

/**
 * Goes on until the caller leaves, the signal aborts, or the server refuses for good. What was given
 * is not given again after a reconnection, and nothing between is left out.
 */
export async function* events(
  transport: Transport,
  query: EventsQuery,
): AsyncGenerator<LiveRunEvent, never, undefined> {
  const { signal, last_event_id, status, ...filter } = query
  let lastEventId = last_event_id === undefined ? null : String(last_event_id)
  let attempt = 0
  for (;;) {
    signal?.throwIfAborted()
    const connection = new AbortController()
    const cancel = () => connection.abort(signal?.reason)
    signal?.addEventListener('abort', cancel)
    let seconds: number | null
    try {
      const headers = { accept: 'text/event-stream', ...lastEventIdHeader(lastEventId) }
      const options = { query: { ...filter, status: status?.join(',') }, headers }
      const stream = await open(transport, options, connection)
      for await (const { id, data } of readServerSentEvents(stream, SILENCE_MS)) {
        attempt = 0
        if (id !== null) lastEventId = id
        if (data !== '') yield JSON.parse(data) as LiveRunEvent
      }
      // The server ended it, to be asked again: it is being restarted, say.
      seconds = pauseSeconds(new ConnectionError(transport.url, 'the stream ended'), attempt)
    } catch (error) {
      signal?.throwIfAborted()
      const failure = error instanceof ApiError ? error : new ConnectionError(transport.url, error)
      seconds = pauseSeconds(failure, attempt)
      if (seconds === null) throw failure
    } finally {
      signal?.removeEventListener('abort', cancel)
      connection.abort()
    }
    attempt = Math.min(attempt + 1, SLOWEST_ATTEMPT)
    await pause(seconds ?? 0, signal)
  }
}

const lastEventIdHeader = (id: string | null): Record<string, string> =>
  id === null ? {} : { 'last-event-id': id }

async function open(
  transport: Transport,
  options: { query: Record<string, string | undefined>; headers: Record<string, string> },
  connection: AbortController,
): Promise<ReadableStream<Uint8Array>> {
  const answer = await transport.send('GET', '/events', options, connection.signal)
  if (!answer.ok) throw apiError(answer, await answer.text())
  if (!answer.body) throw new Error('the answer holds no stream')
  return answer.body
}
