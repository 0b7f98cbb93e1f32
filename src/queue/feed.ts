/**
 * What was committed, in one order that never changes: whoever has read to some place may go on from
 * there later, in this process or another, and has missed nothing and got nothing twice.
 *
 * Places are text that only the feed understands. `0` is before everything that is kept.
 */
export interface Feed<T> {
  /** The place where it ends now. */
  end(): Promise<string>
  /**
   * What came after a place, as much as one look gives, up to `until`, which must be `end` of later
   * than the place, or the `next` of a page of which there was no more.
   * @throws QueueError unknown_event_id, where the place is none of this feed's
   */
  read(after: string, until?: string): Promise<FeedPage<T>>
}

export interface FeedPage<T> {
  items: FeedItem<T>[]
  /** Where to go on. */
  next: string
  /** There is more to read at once. */
  more: boolean
}

export interface FeedItem<T> {
  /** The place just behind it. */
  place: string
  item: T
}
