/**
 * Follows the stream of changes. Not by EventSource, which cannot send a token: by fetch, whose body is
 * read as it comes. What is in the events is not looked at, since the server renders the views: each
 * says that there is something to ask for. So where the stream breaks nothing is lost with it.
 */
import { ask, Refusal } from './api.js'

const AGAIN_FIRST_MS = 500
const AGAIN_MOST_MS = 15_000

/** @typedef {'live' | 'connecting' | 'lost'} State */

/**
 * @param {string} query which events
 * @param {{ onNews: () => void, onState: (state: State) => void }} listener
 * @returns {() => void} ends it
 */
export function follow(query, { onNews, onState }) {
  const ending = new AbortController()
  const { signal } = ending
  void (async () => {
    let again = AGAIN_FIRST_MS
    onState('connecting')
    while (!signal.aborted) {
      try {
        const headers = { Accept: 'text/event-stream' }
        const { body } = await ask(`/events?${query}`, { headers, signal })
        onState('live')
        again = AGAIN_FIRST_MS
        // What happened before it began, it does not tell.
        onNews()
        for await (const _ of news(body)) onNews()
      } catch (error) {
        // The view is refused too when it is asked for, and then the page says why.
        if (error instanceof Refusal && error.status >= 400 && error.status < 500) onNews()
      }
      if (signal.aborted) return
      onState('lost')
      await pause(again * (0.5 + Math.random() / 2), signal)
      again = Math.min(again * 2, AGAIN_MOST_MS)
    }
  })()
  return () => ending.abort()
}

/**
 * Something for each piece that holds an event; comments keep the connection alive only.
 * @param {ReadableStream<Uint8Array> | null} body
 */
async function* news(body) {
  if (!body) return
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let line = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (line + decoder.decode(value, { stream: true })).split(/\r\n|\r|\n/)
    line = lines.pop() ?? ''
    if (lines.some((each) => each.startsWith('data:'))) yield
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve(undefined)
    })
  })
