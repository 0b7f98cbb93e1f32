import type { Timestamp } from '../../src/queue/run.ts'
import { addSeconds } from '../../src/queue/time.ts'

/** Time that passes only when a test says so. */
export interface Clock {
  now(): Timestamp
  /** Lets seconds pass. @returns the new now */
  advance(seconds: number): Timestamp
  ago(seconds: number): Timestamp
  ahead(seconds: number): Timestamp
}

export function fakeClock(start: Timestamp = '2026-01-31T12:00:00.000Z'): Clock {
  let now = start
  return {
    now: () => now,
    advance(seconds) {
      now = addSeconds(now, seconds)
      return now
    },
    ago: (seconds) => addSeconds(now, -seconds),
    ahead: (seconds) => addSeconds(now, seconds),
  }
}
