import { QueueError } from './errors.ts'

/**
 * What refuses a run of a batch, with its place there.
 * @param error as it was thrown; returned where it refuses nothing, but concerns the whole batch: the
 *   engine tells by its own errors what is to be done then
 * @param translated what it means
 */
export function refusedAt(index: number, error: unknown, translated: unknown): unknown {
  if (!(translated instanceof QueueError) || translated.code.startsWith('database_')) return error
  const { code, message } = translated
  return new QueueError(code, `run ${index}: ${message}`, { facts: { index } })
}
