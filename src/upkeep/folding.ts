/** Keeps the metrics near to what happened, so that whoever reads them has little to add. */
import type { Metrics } from '../queue/metrics.ts'
import { pause } from './pause.ts'

/** A fold takes some 5 ms (SQLite); then others have the database to themselves for a while. */
const PAUSE_MS = 20

export async function foldAll(metrics: Metrics, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { events } = await metrics.fold()
    if (events === 0) return
    await pause(PAUSE_MS, signal)
  }
}
