/** What befalls a database, and meets every request while it lasts. */
import { QueueError } from '../queue/errors.ts'

export const isDatabaseTrouble = (error: unknown): error is QueueError =>
  error instanceof QueueError && error.code.startsWith('database_')

/** A full disk is not made better by a log of each request that it refused. */
const TROUBLE_INTERVAL_MS = 10_000

/**
 * Tells what to add to the log about an error, or null where it is better left out: the same
 * trouble is told once in ten seconds, with how often it came unsaid. Other errors are told always.
 */
export function seldomOfEachTrouble(
  elapsedMs: () => number,
): (error: unknown) => { unsaid?: number } | null {
  const told = new Map<string, { atMs: number; unsaid: number }>()
  return (error) => {
    if (!isDatabaseTrouble(error)) return {}
    const last = told.get(error.code)
    if (last && elapsedMs() - last.atMs < TROUBLE_INTERVAL_MS) {
      last.unsaid += 1
      return null
    }
    told.set(error.code, { atMs: elapsedMs(), unsaid: 0 })
    return last && last.unsaid > 0 ? { unsaid: last.unsaid } : {}
  }
}
