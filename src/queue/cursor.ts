/** Where a page of a list ended, as text that clients hand back. */
import { QueueError } from './errors.ts'

export interface Position {
  created_at: string
  seq: number
}

/** Before the newest row there is. */
const START: Position = { created_at: '~', seq: Number.MAX_SAFE_INTEGER }

export const cursorText = ({ created_at, seq }: Position): string =>
  Buffer.from(`${seq}|${created_at}`).toString('base64url')

/** @throws QueueError invalid_cursor */
export function parseCursor(cursor: string | undefined): Position {
  if (cursor === undefined) return START
  const match = /^(\d{1,15})\|(.{1,40})$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (!match?.[1] || !match[2]) {
    throw new QueueError('invalid_cursor', 'cursor must be the next_cursor of an earlier page')
  }
  return { seq: Number(match[1]), created_at: match[2] }
}
