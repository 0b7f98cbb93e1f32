import { unknownEventId } from '../queue/refusals.ts'

/** Places are the ids of rows. @throws QueueError unknown_event_id */
export function placeOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw unknownEventId()
  return Number(text)
}
