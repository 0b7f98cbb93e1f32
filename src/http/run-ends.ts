import type { Engine } from '../queue/engine.ts'
import { isTerminal, type Run } from '../queue/run.ts'
import type { WaitSlots } from './wait-slots.ts'

/** Behind the change signal, in case a hint was lost. */
const LOOK_AGAIN_MS = 5_000

/** Requests that wait for the end of a run. One subscription, however many wait. */
export class RunEnds {
  readonly #engine: Engine
  readonly #closing: AbortSignal
  readonly #slots: WaitSlots
  readonly #waiting = new Map<string, Set<() => void>>()
  #unsubscribe: (() => void) | undefined

  constructor(engine: Engine, closing: AbortSignal, slots: WaitSlots) {
    this.#engine = engine
    this.#closing = closing
    this.#slots = slots
    // One listener for all: AbortSignal.any would leave a trace of each wait in a signal that lasts.
    closing.addEventListener('abort', () => {
      for (const waiting of [...this.#waiting.values()]) for (const done of [...waiting]) done()
    })
  }

  /**
   * @returns the run when it has ended; null when the time is up, the signal aborts or all close.
   * @throws RequestError too_many_waiting
   */
  async wait(run_id: string, milliseconds: number, signal: AbortSignal): Promise<Run | null> {
    this.#slots.take()
    try {
      return await this.#wait(run_id, milliseconds, signal)
    } finally {
      this.#slots.free()
    }
  }

  async #wait(run_id: string, milliseconds: number, signal: AbortSignal): Promise<Run | null> {
    const deadline = performance.now() + milliseconds
    while (!signal.aborted && !this.#closing.aborted) {
      const left = deadline - performance.now()
      if (left <= 0) return null
      // Listening comes before looking, so that no end falls between the two.
      const told = this.#told(run_id, Math.min(left, LOOK_AGAIN_MS), signal)
      const run = await this.#engine.runs.get(run_id)
      if (!run || isTerminal(run.status)) {
        told.cancel()
        return run
      }
      await told.promise
    }
    return null
  }

  #told(run_id: string, milliseconds: number, signal: AbortSignal) {
    let cancel = () => {}
    const promise = new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#remove(run_id, done)
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      signal.addEventListener('abort', done, { once: true })
      this.#add(run_id, done)
      cancel = done
    })
    return { promise, cancel }
  }

  #add(run_id: string, done: () => void): void {
    const waiting = this.#waiting.get(run_id)
    if (waiting) waiting.add(done)
    else this.#waiting.set(run_id, new Set([done]))
    this.#unsubscribe ??= this.#engine.changes.subscribe(({ runs }) => {
      for (const run of runs) {
        if (!isTerminal(run.status)) continue
        for (const each of [...(this.#waiting.get(run.run_id) ?? [])]) each()
      }
    })
  }

  #remove(run_id: string, done: () => void): void {
    const waiting = this.#waiting.get(run_id)
    waiting?.delete(done)
    if (waiting?.size === 0) this.#waiting.delete(run_id)
    if (this.#waiting.size > 0) return
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }
}
