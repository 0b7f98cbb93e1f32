/** All live streams of this process: how many there may be, and what ends them. */
import type { Context } from 'hono'
import { admitTo } from './auth.ts'
import type { Deps, Env } from './deps.ts'
import { RequestError } from './errors.ts'
import { SseStream, type StreamLimits, type StreamRequest } from './sse-stream.ts'
import type { WaitSlots } from './wait-slots.ts'

const STREAM_LIMITS: StreamLimits = {
  heartbeatMs: 30_000,
  bufferBytes: 1024 * 1024,
  stallMs: 30_000,
  admitMs: 30_000,
}
const HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache',
  // Proxies such as nginx would keep events back until a buffer is full.
  'X-Accel-Buffering': 'no',
}

export class SseStreams {
  readonly #deps: Deps
  readonly #slots: WaitSlots
  readonly #limits: StreamLimits
  readonly #open = new Set<() => void>()

  constructor(deps: Deps, slots: WaitSlots) {
    this.#deps = deps
    this.#slots = slots
    this.#limits = { ...STREAM_LIMITS, ...deps.streamLimits }
    // One listener for all: AbortSignal.any would leave a trace of each stream in a signal that lasts.
    deps.closing.addEventListener('abort', () => {
      for (const end of [...this.#open]) end()
    })
  }

  /** @throws RequestError too_many_waiting, QueueError unknown_event_id */
  async open<T>(c: Context<Env>, request: StreamRequest<T>): Promise<Response> {
    // Nobody would read the stream, nor end it.
    if (c.req.method === 'HEAD') return c.body(null, 200, HEADERS)
    this.#slots.take()
    const stream = new SseStream(c, request, this.#limits)
    const end = () => stream.end()
    this.#open.add(end)
    const admitted = setInterval(
      () => this.#admitAgain(c, request.route, end),
      this.#limits.admitMs,
    )
    stream.onOver(() => {
      clearInterval(admitted)
      this.#open.delete(end)
      this.#slots.free()
    })
    try {
      const goOn = await stream.begin()
      goOn().catch((error) => {
        stream.cut()
        this.#deps.onError(error, c.req)
      })
    } catch (error) {
      stream.end()
      throw error
    }
    if (this.#deps.closing.aborted) end()
    return c.body(stream.body, 200, HEADERS)
  }

  /** A token counts no longer than until it is revoked. */
  #admitAgain(c: Context<Env>, route: string, end: () => void): void {
    admitTo(route, c, this.#deps).catch((error) => {
      if (error instanceof RequestError) end()
    })
  }
}
