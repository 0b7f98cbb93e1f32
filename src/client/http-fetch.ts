/**
 * What the client needs of fetch, on Node's own HTTP. The first request of Node's fetch takes more of
 * the processor than all else that a command does: `npm run bench start` shows both. TLS and
 * redirections, which the server itself has none of, are left to fetch.
 */
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import type { Answer, Asked, Fetch } from './fetch.ts'

export const httpFetch: Fetch = async (url, asked) => {
  if (url.protocol !== 'http:') return await fetch(url, asked)
  const answer = await ask(url, asked)
  const { statusCode = 0, headers } = answer
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    answer.resume()
    return await fetch(url, asked)
  }
  return answerOf(answer, asked.signal)
}

function ask(url: URL, { method, headers, body, signal }: Asked): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    // The agent keeps connections for the next request, but no process alive.
    const asking = request(url, { method, headers, signal })
    asking.once('response', resolve)
    asking.on('error', (error) => reject(signal.aborted ? signal.reason : error))
    asking.end(body)
  })
}

function answerOf(answer: IncomingMessage, signal: AbortSignal): Answer {
  const { statusCode: status = 0, statusMessage: statusText = '' } = answer
  return {
    ok: status >= 200 && status < 300,
    status,
    statusText,
    headers: { get: (name) => answer.headers[name.toLowerCase()]?.toString() ?? null },
    get body() {
      return Readable.toWeb(answer) as ReadableStream<Uint8Array>
    },
    async text() {
      let text = ''
      try {
        for await (const part of answer.setEncoding('utf8')) text += part
      } catch (error) {
        throw signal.aborted ? signal.reason : error
      }
      return text
    },
  }
}
