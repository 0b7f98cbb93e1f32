/** Each change of a run that this process made is one line of its log. */
import type { Logger } from 'pino'
import { CHANGE_WORDS, type RunChange } from './queue/run-change.ts'

/** @param facts what else the lines tell, such as whose request it was */
export function logChanges(
  log: Pick<Logger, 'isLevelEnabled' | 'info'>,
  changes: readonly RunChange[],
  facts: Record<string, unknown> = {},
): void {
  if (!log.isLevelEnabled('info')) return
  for (const { runner_id, ...change } of changes) {
    const runner = runner_id === null ? {} : { runner_id }
    log.info({ ...facts, ...change, ...runner }, CHANGE_WORDS[change.cause ?? 'added'])
  }
}
