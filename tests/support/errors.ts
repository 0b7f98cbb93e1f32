import { expect } from 'vitest'
import { QueueError, type QueueErrorCode } from '../../src/queue/errors.ts'

/** The QueueError that a refused operation rejects with; fails the test if it does not. */
export async function refusal(
  operation: Promise<unknown>,
  code: QueueErrorCode,
): Promise<QueueError> {
  const error = await operation.then(
    (value) => expect.fail(`expected ${code}, but it resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(QueueError)
  expect(error).toMatchObject({ code })
  return error as QueueError
}
