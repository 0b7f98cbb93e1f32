/** How far `prune` went, as text that its next call is given. */
import { QueueError } from './errors.ts'
import type { Timestamp } from './run.ts'

/** A run, as the last that was looked at; seq 0 is before all of that instant. */
interface Place {
  created_at: Timestamp
  seq: number
}
export const START: Place = { created_at: '', seq: 0 }

/** One status after the other, then the events. */
interface Position extends Place {
  stage: number
}

export const placeText = ({ stage, seq, created_at }: Position): string =>
  `${stage}|${seq}|${created_at}`

/** @throws QueueError invalid_cursor */
export function parsePlace(after: string | undefined): Position {
  if (after === undefined) return { stage: 0, ...START }
  const [, stage, seq, created_at] = /^(\d)\|(\d{1,15})\|(.{0,40})$/.exec(after) ?? []
  if (stage === undefined || created_at === undefined) {
    throw new QueueError('invalid_cursor', 'after must be the next of an earlier call')
  }
  return { stage: Number(stage), seq: Number(seq), created_at }
}
