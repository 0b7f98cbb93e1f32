/**
 * The live stream of one client (server-sent events): what is sent, and when the client is cut off.
 * What a client does not take in time is not kept for it: its connection is cut, and it comes again
 * with the id of the last event that it has.
 */
import type { Context } from 'hono'
import type { Env } from './deps.ts'
import type { Follower, Frame, Page, SseFeed } from './sse-feed.ts'
import { HEARTBEAT } from './sse-frame.ts'

export interface StreamLimits {
  /** After so long a silence a comment shows that the connection is alive. */
  heartbeatMs: number
  /** What may wait to be sent beyond what the system's own buffers hold. */
  bufferBytes: number
  /** One that catches up may take nothing for so long. */
  stallMs: number
  /** How often it is asked whether its token is still good. */
  admitMs: number
}

/** While somebody catches up, so many live events are kept for it; beyond, it reads them itself. */
const HELD_MAX = 1_000
/** So much is handed on ahead of the connection. */
const AHEAD_BYTES = 64 * 1024

export interface StreamRequest<T> {
  /** Its name in the table of who may call. */
  route: string
  feed: SseFeed<T>
  wants: (item: T) => boolean
  /** Where the client was, as the feed names places; null: it begins now. */
  from: string | null
  /** What it is told first, where it begins at this place. */
  first?: (place: string) => Promise<Uint8Array>
}

export class SseStream<T> implements Follower<T> {
  readonly body: ReadableStream<Uint8Array>
  readonly #c: Context<Env>
  readonly #request: StreamRequest<T>
  readonly #limits: StreamLimits
  readonly #heartbeat: NodeJS.Timeout
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #over = false
  #onOver = () => {}
  #onTaken = () => {}
  /** What is told while it catches up; null once it has. */
  #held: Frame<T>[] | null = []
  #heldTooMany = false

  constructor(c: Context<Env>, request: StreamRequest<T>, limits: StreamLimits) {
    this.#c = c
    this.#request = request
    this.#limits = limits
    this.#heartbeat = setTimeout(() => this.#send(HEARTBEAT), limits.heartbeatMs)
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#onTaken(),
        cancel: () => this.#finish(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: AHEAD_BYTES }),
    )
  }

  get isOver(): boolean {
    return this.#over
  }

  onOver(callback: () => void): void {
    this.#onOver = callback
  }

  /**
   * Joins those who follow, and reads a first page of what was missed: what is wrong with the request
   * shows here. @returns what goes on when the answer has begun
   */
  async begin(): Promise<() => Promise<void>> {
    const { feed, from, first } = this.#request
    const place = await feed.join(this)
    if (from !== null) {
      const page = await feed.read(from, place)
      return () => this.#catchUp(page, place)
    }
    if (first) this.#send(await first(place))
    this.#goLive()
    return async () => {}
  }

  tell(frames: Frame<T>[]): void {
    for (const frame of frames) {
      if (!this.#request.wants(frame.item)) continue
      if (this.#held === null) this.#send(frame.bytes)
      else if (this.#held.length < HELD_MAX) this.#held.push(frame)
      else this.#heldTooMany = true
    }
  }

  /** In order: no more is sent. */
  end(): void {
    if (this.#over) return
    this.#finish()
    this.#controller?.close()
  }

  /** At once, with all that was not sent yet. */
  cut(): void {
    if (this.#over) return
    this.#finish()
    const { outgoing } = this.#c.env ?? {}
    if (outgoing) outgoing.destroy()
    else this.#controller?.error(new Error('the reader of this stream is too slow'))
  }

  async #catchUp(first: Page<T>, place: string): Promise<void> {
    const { feed } = this.#request
    let page = first
    let target = place
    for (;;) {
      while (await this.#sendMissed(page)) {
        if (page.next === null) break
        page = await feed.read(page.next, target)
      }
      if (this.#over || !this.#heldTooMany) break
      this.#held = []
      this.#heldTooMany = false
      feed.leave(this)
      const from = target
      target = await feed.join(this)
      page = await feed.read(from, target)
    }
    this.#goLive()
  }

  /** As fast as they are taken. @returns false where it is over */
  async #sendMissed({ frames }: Page<T>): Promise<boolean> {
    for (const { item, bytes } of frames) {
      if (!this.#request.wants(item)) continue
      if (this.#waiting > 0) await this.#taken()
      this.#send(bytes)
      if (this.#over) return false
    }
    return !this.#over
  }

  #goLive(): void {
    const held = this.#held ?? []
    this.#held = null
    this.tell(held)
  }

  /** Bytes that wait beyond what is handed on ahead. */
  get #waiting(): number {
    return this.#over ? 0 : -(this.#controller?.desiredSize ?? 0)
  }

  #send(bytes: Uint8Array): void {
    if (this.#over) return
    if (this.#waiting > this.#limits.bufferBytes) {
      this.cut()
      return
    }
    this.#heartbeat.refresh()
    this.#controller?.enqueue(bytes)
  }

  /** Resolves when there is room again, or it is over: also because the reader takes nothing. */
  async #taken(): Promise<void> {
    const stalled = setTimeout(() => this.cut(), this.#limits.stallMs)
    await new Promise<void>((resolve) => {
      this.#onTaken = resolve
    })
    clearTimeout(stalled)
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#heartbeat)
    this.#request.feed.leave(this)
    this.#held = []
    this.#onTaken()
    this.#onOver()
  }
}
