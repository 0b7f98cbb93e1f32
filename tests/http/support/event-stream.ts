/** A live stream as a client reads it. */
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { rawConnection, request } from './raw.ts'

export interface StreamFrame<T = Record<string, unknown>> {
  id: string
  event: string
  data: T
}

export interface EventStream<T> {
  status: number
  headers: Headers
  /** The next frames. */
  take(count: number): Promise<StreamFrame<T>[]>
  /** Resolves with the next comment. */
  comment(): Promise<string>
  /** Resolves when the server ends it. */
  ended: Promise<void>
  leave(): void
}

const DEADLINE_MS = 20_000

export async function openStream<T = Record<string, unknown>>(
  url: string,
  headers: Record<string, string> = {},
): Promise<EventStream<T>> {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  onTestFinished(() => abort.abort())
  const frames: StreamFrame<T>[] = []
  const comments: string[] = []
  let wake = () => {}

  function hear(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? []
      if (name === '') comments.push(line)
      else if (fields.has(name)) throw new Error(`${name} twice: ${block}`)
      else fields.set(name, value)
    }
    if (fields.size === 0) return
    const [id = '', event = ''] = [fields.get('id'), fields.get('event')]
    frames.push({ id, event, data: JSON.parse(fields.get('data') ?? '') })
  }

  async function listen(): Promise<void> {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      blocks.forEach(hear)
      wake()
    }
  }
  const ended = listen()
  ended.catch(() => {})

  async function until<V>(found: () => V | undefined): Promise<V> {
    const late = setTimeout(() => {
      abort.abort(
        new Error(`not in time; of ${frames.length}: ${JSON.stringify(frames.slice(-9))}`),
      )
      wake()
    }, DEADLINE_MS)
    try {
      for (;;) {
        const value = found()
        if (value !== undefined) return value
        abort.signal.throwIfAborted()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      clearTimeout(late)
    }
  }

  return {
    ...{ status: response.status, headers: response.headers, ended },
    take: (count) => until(() => (frames.length >= count ? frames.splice(0, count) : undefined)),
    comment: () => until(() => comments.shift()),
    leave: () => abort.abort(),
  }
}

/** One that asks and then takes nothing. @returns when its connection was cut */
export async function openDeafStream(url: string, path: string): Promise<{ cut: Promise<void> }> {
  const { socket, write } = await rawConnection(url)
  write(request('GET', path))
  await once(socket, 'data')
  socket.pause()
  // Only who reads learns of an end; a write shows it, too.
  const cut = new Promise<void>((resolve) => {
    const probe = setInterval(() => socket.write('\r\n'), 20)
    socket.once('close', () => {
      clearInterval(probe)
      resolve()
    })
  })
  return { cut }
}
