import { expect } from 'vitest'
import { QueueError, type QueueErrorCode } from '../../src/queue/errors.ts'

/** The QueueError that a refused operation rejects with; fails the test if it does not. */
export async function refusal(
  operation: Promise<unknown>,
  code: QueueErrorCode,
): Promise<QueueError> {
  const error = await caught(operation)
  expect(error).toBeInstanceOf(QueueError)
  expect(error).toMatchObject({ code })
  return error as QueueError
}

/** What an operation rejects with; fails the test if it does not. */
export const caught = (operation: Promise<unknown>): Promise<unknown> =>
  operation.then(
    (value) => expect.fail(`expected an error, but it resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
