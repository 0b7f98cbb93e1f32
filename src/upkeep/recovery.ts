/** Puts in order what an earlier server left, pass by pass. */
import type { Recovered, RecoveryMode } from '../queue/recovery.ts'
import type { Timestamp } from '../queue/run.ts'
import type { RunChange } from '../queue/run-change.ts'
import type { RecoverOptions, RunQueue } from '../queue/run-queue.ts'

export async function recoverAll(
  runs: RunQueue,
  mode: RecoveryMode,
  options: RecoverOptions,
  now: Timestamp,
  onChanged: (changes: RunChange[]) => void = () => {},
): Promise<Recovered> {
  const total: Recovered = { released: 0, failed: 0, stopped: 0 }
  for (;;) {
    const { changes, more, ...pass } = await runs.recover(mode, options, now)
    onChanged(changes)
    total.released += pass.released
    total.failed += pass.failed
    total.stopped += pass.stopped
    if (!more) return total
  }
}
