/** A change of a run, as the operation that made it tells whoever asked for it. */
import type { Cause, ChangedBy } from './cause.ts'
import type { Run } from './run.ts'

/** Whom and what it is about, and never what the run says. */
export interface RunChange
  extends Pick<Run, 'run_id' | 'session_id' | 'status' | 'runner_id' | 'attempt'> {
  cause: Cause | null
  changed_by: string | null
}

/** What was added. */
export const addedChange = ({ run_id, session_id, status }: Run, changed_by: ChangedBy) => {
  const run = { run_id, session_id, status, runner_id: null, attempt: 0 }
  return { ...run, cause: 'added', changed_by } satisfies RunChange
}

/** Without what else came along with the row. */
export function changeOf(moved: RunChange): RunChange {
  const { run_id, session_id, status, runner_id, attempt, cause, changed_by } = moved
  return { run_id, session_id, status, runner_id, attempt, cause, changed_by }
}

/** How a log says what happened. */
export const CHANGE_WORDS: Record<Cause, string> = {
  added: 'run added',
  became_available: 'run available, its time has come',
  claimed: 'run claimed',
  claim_released: 'claim released, its runner was gone',
  claim_timed_out: 'claim released, the run was not started in time',
  started: 'run started',
  completed: 'run completed',
  failed: 'run failed',
  attempt_failed: 'attempt failed, run pending again',
  stop_requested: 'stop of a run requested',
  stopped: 'run stopped',
  cancelled: 'run stopped, nobody had taken it',
  stop_timed_out: 'run taken as stopped, no runner confirmed it',
  match_timed_out: 'run failed, no runner could take it in time',
  runner_lost: 'runner of a run lost',
  runner_removed: 'runner of a run removed',
  recovered: 'run recovered that an earlier server left',
  demands_changed: 'demands of a run changed',
}
