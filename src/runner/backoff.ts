/** Calls repeated until they are answered, so that a restart of the server goes unnoticed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError, isTokenRefused } from '../client/index.ts'
import type { Log } from './events.ts'

export interface Backoff {
  first_seconds: number
  most_seconds: number
}

export interface Patience {
  /** Ends the waiting; then the call is given up. */
  signal: AbortSignal
  backoff: Backoff
  log: Log
}

export interface Attempted {
  /** What is tried, to fit behind "cannot": `report run_1 completed`. */
  what: string
  /** Whether trying again is of no use. Default: {@link isRefusal}. */
  isFinal?: (error: unknown) => boolean
  /** The failure in words. Default: its message. */
  explain?: (error: unknown) => string
}

/**
 * Doubles from the first pause to the longest. A random half is taken off, so that runners which
 * lost their server in one instant do not come back in one.
 */
export function pauseSeconds(backoff: Backoff, attempt: number, random: number): number {
  const pause = Math.min(backoff.most_seconds, backoff.first_seconds * 2 ** attempt)
  return pause * (0.5 + random / 2)
}

/** These 4xx speak of the moment: request timeout, too early, too many requests. */
const PASSING_STATUSES = [408, 425, 429]

/** The server understood and said no, and will say no again. */
export function isRefusal(error: unknown): error is ApiError {
  return (
    error instanceof ApiError &&
    error.status >= 400 &&
    error.status < 500 &&
    !PASSING_STATUSES.includes(error.status)
  )
}

export const isStatus = (error: unknown, status: number): error is ApiError =>
  error instanceof ApiError && error.status === status

/** The server does not know the runner, or does not take its token. */
export const isUnknownOrDenied = (error: unknown): boolean =>
  isStatus(error, 401) || isTokenRefused(error)

/**
 * Tries again until there is an answer. A failure is logged once, and again when its reason changes.
 * @throws what `isFinal` says is final; the signal's reason once that is aborted, even while the
 *   call is under way.
 */
export async function untilAnswered<Answer>(
  call: () => Promise<Answer>,
  { what, isFinal = isRefusal, explain = messageOf }: Attempted,
  { signal, backoff, log }: Patience,
): Promise<Answer> {
  let told: string | null = null
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    try {
      const answer = await unlessAborted(call(), signal)
      if (told !== null) log({ event: 'recovered', message: `could ${what} after all` })
      return answer
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error
      const reason = explain(error)
      if (reason !== told) {
        log({ event: 'retrying', message: `cannot ${what}: ${reason}; trying again` })
      }
      told = reason
      const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0
      const seconds = Math.max(
        pauseSeconds(backoff, attempt, Math.random()),
        Math.min(asked, backoff.most_seconds),
      )
      await sleep(seconds * 1000, undefined, { signal })
    }
  }
}

/** Most calls of the client cannot be aborted: leave them behind instead. */
function unlessAborted<Answer>(call: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
    call.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
