/**
 * Whether silence means anything: a runner is lost when it was not heard of for long, but not when
 * that is the fault of the clock, of this process or of the database.
 *
 * The clock may be set, and a machine may sleep: then no heartbeat is missing, and yet all are old.
 * So after such a moment nobody is judged by silence until each runner that lives has had the time
 * to give a sign.
 */
import type { Timestamp } from '../queue/run.ts'

/** Clocks that are merely adjusted drift less between two looks. */
const JUMP_SECONDS = 2
/** A look that comes later than expected by so much: this process, too, was not there to listen. */
const LATE_SECONDS = 30

export interface SilenceOptions {
  now: () => Timestamp
  /** Milliseconds that pass evenly, also when `now` is set to another time. */
  elapsedMs: () => number
  /** How long each runner that lives takes at most to give a sign. */
  graceSeconds: number
  /** How often `counts` is asked. */
  lookSeconds: number
  onJump: (seconds: number) => void
}

export interface Silence {
  /** Whether who kept silent for too long may be taken as lost. */
  counts(): boolean
  /** Signs of life may have been refused. */
  excuse(): void
}

export function watchSilence(options: SilenceOptions): Silence {
  const { now, elapsedMs, graceSeconds, lookSeconds, onJump } = options
  const look = () => ({ clockMs: Date.parse(now()), elapsedMs: elapsedMs() })
  let last = look()
  let excusedUntilMs = Number.NEGATIVE_INFINITY

  function excuse(): void {
    excusedUntilMs = elapsedMs() + graceSeconds * 1000
  }

  return {
    excuse,
    counts() {
      const current = look()
      const passedMs = current.elapsedMs - last.elapsedMs
      const jumpMs = current.clockMs - last.clockMs - passedMs
      last = current
      if (Math.abs(jumpMs) > JUMP_SECONDS * 1000) {
        excuse()
        onJump(Math.round(jumpMs / 1000))
      } else if (passedMs > (lookSeconds + LATE_SECONDS) * 1000) {
        excuse()
      }
      return current.elapsedMs >= excusedUntilMs
    },
  }
}
