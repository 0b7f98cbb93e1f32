/**
 * One reader of a feed for all who follow it in this process: each change is read once and put into
 * words once, however many listen; while nobody does, nothing is read.
 *
 * Who was away catches up by reading for itself, and then joins the others at the place where they
 * are: what they are told meanwhile is kept for it, up to a bound, beyond which it reads on again.
 */
import type { Changes, News } from '../queue/engine.ts'
import type { Feed, FeedItem } from '../queue/feed.ts'

/** One item as all followers get it. */
export interface Frame<T> {
  item: T
  bytes: Uint8Array
}

export interface Follower<T> {
  /** It went away, or is to go. */
  readonly isOver: boolean
  /** In order; must not wait. */
  tell(frames: Frame<T>[]): void
}

/** What one that was away has missed; `next` is where to read on, null: that was all. */
export interface Page<T> {
  frames: Frame<T>[]
  next: string | null
}

interface Joining<T> {
  follower: Follower<T>
  resolve: (place: string) => void
  reject: (error: unknown) => void
}

interface Options<T> {
  changes: Changes
  feed: Feed<T>
  concerns: (news: News) => boolean
  frame: (item: FeedItem<T>) => Uint8Array
  /** Where it must be known that somebody follows: told every now and then, as long as that is so. */
  renew?: () => Promise<void>
}

/** Soon after this process was asleep, too. */
const RENEW_MS = 60_000

/** The database is gone or locked for the moment. */
const READ_AGAIN_MS = 1_000

export class SseFeed<T> {
  readonly #options: Options<T>
  readonly #followers = new Set<Follower<T>>()
  #joining: Joining<T>[] = []
  #place = ''
  #looking: Promise<void> | undefined
  #lookAgain = false
  #again: NodeJS.Timeout | undefined
  #unsubscribe: (() => void) | undefined
  #renewing: NodeJS.Timeout | undefined

  constructor(options: Options<T>) {
    this.#options = options
  }

  /**
   * From the place that is returned on, which is later than all that anybody was told before, the
   * follower is told everything, until it leaves.
   */
  join(follower: Follower<T>): Promise<string> {
    this.#unsubscribe ??= this.#options.changes.subscribe((news) => {
      if (this.#options.concerns(news)) this.#look()
    })
    const { renew } = this.#options
    // Should it fail, the next is early enough.
    if (renew) this.#renewing ??= setInterval(() => void renew().catch(() => {}), RENEW_MS)
    return new Promise((resolve, reject) => {
      this.#joining.push({ follower, resolve, reject })
      this.#look()
    })
  }

  leave(follower: Follower<T>): void {
    this.#followers.delete(follower)
    this.#rest()
  }

  /** What came between two places, for one that was away. */
  async read(after: string, until: string): Promise<Page<T>> {
    const page = await this.#options.feed.read(after, until)
    return { frames: this.#frames(page.items), next: page.more ? page.next : null }
  }

  #rest(): void {
    if (this.#followers.size > 0 || this.#joining.length > 0) return
    clearTimeout(this.#again)
    clearInterval(this.#renewing)
    this.#renewing = undefined
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  #look(): void {
    if (this.#looking) {
      this.#lookAgain = true
      return
    }
    this.#lookAgain = false
    clearTimeout(this.#again)
    // Those who come while it is read join at the next look, which began after they came.
    const joining = this.#joining.splice(0)
    this.#looking = this.#readOn()
      .then(
        () => {
          for (const { follower, resolve } of joining) {
            if (!follower.isOver) this.#followers.add(follower)
            resolve(this.#place)
          }
        },
        (error) => {
          for (const { reject } of joining) reject(error)
          // Requests meet the same, and say so.
          if (this.#followers.size > 0) this.#again = setTimeout(() => this.#look(), READ_AGAIN_MS)
        },
      )
      .finally(() => {
        this.#looking = undefined
        if (this.#lookAgain && this.#unsubscribe) this.#look()
        else this.#rest()
      })
  }

  async #readOn(): Promise<void> {
    const { feed } = this.#options
    if (this.#followers.size === 0) {
      this.#place = await feed.end()
      return
    }
    for (let more = true; more; ) {
      const page = await feed.read(this.#place)
      this.#place = page.next
      more = page.more
      const frames = this.#frames(page.items)
      if (frames.length === 0) continue
      for (const follower of [...this.#followers]) follower.tell(frames)
    }
  }

  #frames(items: FeedItem<T>[]): Frame<T>[] {
    return items.map((each) => ({ item: each.item, bytes: this.#options.frame(each) }))
  }
}
