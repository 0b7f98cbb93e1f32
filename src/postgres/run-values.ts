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
/** As a row is stored, its JSON not yet as text. Nothing else: the prompt would go twice. */
export const valuesOf = (row: Run, run: NewRun, { caller }: AddBounds) =>
  ({
    run_id: row.run_id,
    session_id: row.session_id,
    type: row.type,
    agent_name: row.agent_name,
    parameters: row.parameters,
    scope: row.scope,
    project_dir: row.project_dir,
    parent_session_id: row.parent_session_id,
    execution_mode: row.execution_mode,
    demands: row.demands,
    priority: row.priority,
    max_attempts: row.max_attempts,
    retry_delay_seconds: row.retry_delay_seconds,
    on_lost: row.on_lost,
    created_at: row.created_at,
    available_at: row.available_at,
    timeout_at: row.timeout_at,
    reject_if_unmatchable: run.reject_if_unmatchable ?? false,
    timeout_seconds: row.timeout_at === null ? null : timeoutSeconds(run),
    traceparent: run.traceparent ?? null,
    idempotency_key: run.idempotency?.key ?? null,
    idempotency_fingerprint: run.idempotency?.fingerprint ?? null,
    updated_at: row.created_at,
    changed_by: clientOf(caller),
  }) satisfies Record<keyof typeof NEW_COLUMNS | 'reject_if_unmatchable', unknown>
