/** Following a run to its end, over lost connections and restarts of the server. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, ConnectionError, type RunqueueClient } from '../client/index.ts'
import type { RunView } from '../http/views.ts'
import { isTerminal } from '../queue/run.ts'

export interface Watcher {
  /** After each look that found the run not ended. */
  onLook(run: RunView): Promise<void>
  onLost(error: Error): void
}

/** How long one look waits for the end. A run not yet running changes in ways worth showing. */
const LOOK_SECONDS = { waiting: 2, running: 20 }
/** A server that answers a look at once must not be asked without pause. */
const PAUSE_MS = 250
const BACKOFF_MS = { first: 250, most: 5_000 }
/** A restart takes seconds; a server gone for this long is gone. */
const LOST_MS = 300_000
/** The answers of a server, or of a proxy before it, that is restarting or overloaded. */
const PASSING_STATUSES = [429, 502, 503, 504]

/**
 * @param signal ends the wait at once.
 * @returns the run, ended.
 * @throws the signal's reason; ConnectionError or ApiError as the client does, but those that may
 *   pass only when they have lasted for five minutes.
 */
export async function followRun(
  client: RunqueueClient,
  first: RunView,
  signal: AbortSignal,
  watcher: Watcher,
): Promise<RunView> {
  let run = first
  let lostAt: number | null = null
  let backoff = BACKOFF_MS.first
  while (!isTerminal(run.status)) {
    try {
      if (lostAt === null) await watcher.onLook(run)
      signal.throwIfAborted()
      const waitSeconds = run.status === 'running' ? LOOK_SECONDS.running : LOOK_SECONDS.waiting
      const asked = performance.now()
      run = await client.getRun(run.run_id, { waitSeconds, signal })
      lostAt = null
      backoff = BACKOFF_MS.first
      const pause = PAUSE_MS - (performance.now() - asked)
      if (pause > 0 && !isTerminal(run.status)) await sleep(pause, undefined, { signal })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      lostAt ??= performance.now()
      if (!mayPass(error) || performance.now() - lostAt > LOST_MS) throw error
      watcher.onLost(error)
      await sleep(backoff, undefined, { signal }).catch(() => signal.throwIfAborted())
      backoff = Math.min(backoff * 2, BACKOFF_MS.most)
    }
  }
  return run
}

function mayPass(error: unknown): error is Error {
  return (
    error instanceof ConnectionError ||
    (error instanceof ApiError && PASSING_STATUSES.includes(error.status))
  )
}
