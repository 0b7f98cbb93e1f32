/** The clients' side: adds runs, each when it is due. */
import { ADD_LIMIT } from '../queue/run-queue.ts'
import type { Failures } from './failures.ts'
import type { HttpClient } from './http.ts'
import type { Ledger, RunRecord } from './ledger.ts'
import type { Recorder } from './recorder.ts'
import { inParallel, pause } from './timing.ts'

export interface Adding {
  client: HttpClient
  connections: number
  ledger: Ledger
  failures: Failures
  signal: AbortSignal
}

/** Longer than any load: runs of the backlog are not to fail for want of a runner meanwhile. */
const MATCH_SECONDS = 24 * 3600

const requestOf = (ledger: Ledger, record: RunRecord) => ({
  type: 'start_session',
  prompt: ledger.promptOf(record),
  priority: record.planned.priority,
  ...(record.planned.demands && {
    additional_demands: record.planned.demands,
    timeout_seconds: MATCH_SECONDS,
  }),
})

/** Each when it is due, from now on. */
export async function addPaced(
  { client, connections, ledger, failures, signal }: Adding,
  records: readonly RunRecord[],
  recorder: Recorder,
): Promise<void> {
  const start = performance.now()
  await inParallel(records, connections, signal, async (record) => {
    const { due_ms } = record.planned
    const due = due_ms === null ? 0 : start + due_ms
    const early = due - performance.now()
    await pause(early, signal)
    if (signal.aborted) return
    // Where all connections were busy when it was due, its client has been waiting since; that a
    // timer rang late is no fault of the server.
    record.asked = due_ms !== null && early < 0 ? due : performance.now()
    try {
      const answer = await client.send('POST', '/runs', JSON.stringify(requestOf(ledger, record)))
        .answer
      const { run_id } = JSON.parse(answer) as { run_id: string }
      ledger.accept(record, run_id, Date.now())
      if (record.phase === 'arrivals') recorder.record('add', record.asked, performance.now())
    } catch (error) {
      failures.count('add', error)
    }
  })
}

/** Many at once, unmeasured. */
export async function addMany(
  { client, ledger, failures, signal }: Adding,
  records: readonly RunRecord[],
): Promise<void> {
  const batches = Array.from({ length: Math.ceil(records.length / ADD_LIMIT) }, (_, batch) =>
    records.slice(batch * ADD_LIMIT, (batch + 1) * ADD_LIMIT),
  )
  // Two: while one is stored, the next is on its way.
  await inParallel(batches, 2, signal, async (batch) => {
    try {
      const { runs } = await client.post<{ runs: { run_id: string }[] }>('/runs/batch', {
        runs: batch.map((record) => requestOf(ledger, record)),
      })
      const now = Date.now()
      for (const [at, record] of batch.entries()) {
        const added = runs[at]
        if (added) ledger.accept(record, added.run_id, now)
      }
    } catch (error) {
      failures.count('add', error)
    }
  })
}
