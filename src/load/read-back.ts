/** What the server says of this load's runs once all is quiet; and leaving no mess behind. */
import type { RunView } from '../client/index.ts'
import { ACTIVE_STATUSES, type RunStatus } from '../queue/run.ts'
import { LIST_LIMIT } from '../queue/run-queue.ts'
import type { Failures } from './failures.ts'
import type { HttpClient } from './http.ts'
import type { Ledger } from './ledger.ts'
import { inParallel } from './timing.ts'

/** A run of this load as GET /runs lists it. */
export interface Row {
  index: number
  run_id: string
  status: RunStatus
  runner_id: string | null
}

interface Page {
  runs: RunView[]
  next_cursor: string | null
}

/** Pages back from the newest run to the first that is older than the load. */
export async function readRuns(client: HttpClient, ledger: Ledger, begun: Date): Promise<Row[]> {
  const rows: Row[] = []
  const oldest = begun.toISOString()
  let query = ''
  for (;;) {
    const { runs, next_cursor } = await client.get<Page>(`/runs?limit=${LIST_LIMIT}${query}`)
    for (const { prompt, run_id, status, runner_id } of runs) {
      const record = ledger.recordOf(prompt)
      if (record) rows.push({ index: record.index, run_id, status, runner_id })
    }
    const last = runs.at(-1)
    if (next_cursor === null || !last || last.created_at < oldest) return rows
    query = `&cursor=${encodeURIComponent(next_cursor)}`
  }
}

/** On a server that others use: what is left of the load is stopped, its runners leave. */
export async function tidyUp(
  client: HttpClient,
  width: number,
  rows: readonly Row[],
  runner_ids: readonly string[],
  failures: Failures,
): Promise<void> {
  const active: readonly string[] = ACTIVE_STATUSES
  const paths = [
    ...rows
      .filter(({ status }) => active.includes(status))
      .map(({ run_id }) => ['POST', `/runs/${run_id}/stop`] as const),
    ...runner_ids.map((runner_id) => ['DELETE', `/runners/${runner_id}?self=true`] as const),
  ]
  await inParallel(paths, width, null, async ([method, path]) => {
    await client.send(method, path, null).answer.catch((error) => failures.count('tidying', error))
  })
}
