/** Calls made again where that does no harm: what was asked before is not done twice. */
import { ApiError, ConnectionError } from './errors.ts'

/** The first pause; each further one is twice as long, and a random half is taken off. */
const FIRST_PAUSE_SECONDS = 0.2
/** A server that asks for more is left to the caller. */
const MOST_PAUSE_SECONDS = 30
/** What a proxy answers while the server behind it is away. */
const FROM_GATEWAYS = [502, 504]

/** @throws the last failure when the retries are used up; the signal's reason when it aborts */
export async function retrying<T>(
  call: () => Promise<T>,
  retries: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      const seconds = pauseSeconds(error, attempt)
      if (attempt >= retries || seconds === null || signal?.aborted) throw error
      await pause(seconds, signal)
    }
  }
}

/** @returns null where another try is of no use, or would come too late */
export function pauseSeconds(error: unknown, attempt: number): number | null {
  const usual = FIRST_PAUSE_SECONDS * 2 ** attempt * (0.5 + Math.random() / 2)
  if (error instanceof ConnectionError) return Math.min(usual, MOST_PAUSE_SECONDS)
  if (!(error instanceof ApiError)) return null
  if (FROM_GATEWAYS.includes(error.status)) return Math.min(usual, MOST_PAUSE_SECONDS)
  // Whoever refuses for the moment says until when; another refusal is for good.
  if (error.retryAfterSeconds === null) return null
  const seconds = Math.max(usual, error.retryAfterSeconds)
  return seconds <= MOST_PAUSE_SECONDS ? seconds : null
}

/** @throws the signal's reason when it aborts */
export async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    const abort = () => {
      end()
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      end()
      resolve()
    }, seconds * 1000)
    signal?.addEventListener('abort', abort)
  })
}
