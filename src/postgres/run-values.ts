/** What is stored of a new run. */
import { clientOf } from '../queue/cause.ts'
import { timeoutSeconds } from '../queue/new-row.ts'
import type { NewRun, Run } from '../queue/run.ts'
import type { AddBounds } from '../queue/run-queue.ts'

/** The columns of a new run, with their types: a SELECT does not tell its parameters any. */
export const NEW_COLUMNS = {
  ...{ run_id: 'text', session_id: 'text', type: 'text', agent_name: 'text', parameters: 'json' },
  ...{ scope: 'json', project_dir: 'text', parent_session_id: 'text', execution_mode: 'text' },
  ...{ demands: 'jsonb', priority: 'int', max_attempts: 'int', retry_delay_seconds: 'float8' },
  ...{ on_lost: 'text', idempotency_key: 'text', idempotency_fingerprint: 'text' },
  ...{ created_at: 'text', available_at: 'text', timeout_at: 'text', timeout_seconds: 'float8' },
  ...{ updated_at: 'text', changed_by: 'text', traceparent: 'text' },
}
/** As a row is stored, its JSON not yet as text. */
export const valuesOf = (row: Run, run: NewRun, { caller }: AddBounds) => ({
  ...row,
  reject_if_unmatchable: run.reject_if_unmatchable ?? false,
  timeout_seconds: row.timeout_at === null ? null : timeoutSeconds(run),
  traceparent: run.traceparent ?? null,
  idempotency_key: run.idempotency?.key ?? null,
  idempotency_fingerprint: run.idempotency?.fingerprint ?? null,
  updated_at: row.created_at,
  changed_by: clientOf(caller),
})
