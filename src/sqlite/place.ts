import { QueueError } from '../queue/errors.ts'

export const unknownPlace = (): QueueError =>
  new QueueError('unknown_event_id', 'The id is of no event that was told here; 0 is before all')

/** Places are the ids of rows. @throws QueueError unknown_event_id */
export function placeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw unknownPlace()
  return Number(text)
}
