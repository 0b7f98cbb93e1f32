/** What Node refuses before there is a request: told in the form of every other error. */
import { maxHeaderSize, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, STATUS } from './errors.ts'

/** Answers what is no HTTP, too slow or too long, and closes the connection. */
export function answerUnparsed(server: Server): void {
  const answers = new WeakMap<object, ServerResponse>()
  server.on('request', ({ socket }, answer) => answers.set(socket, answer))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const refusal = refusalOf(error.code, server)
    const answer = answers.get(socket)
    // Within an answer that has begun it would be taken for a part of that.
    const isAmidst = answer?.headersSent && !answer.writableFinished
    if (refusal && socket.writable && !isAmidst) {
      socket.end(textOf(...refusal), () => socket.destroy())
    } else socket.destroy()
  })
}

/** @returns null: the connection broke, and nobody is there to tell */
function refusalOf(code: string | undefined, server: Server): [ErrorCode, string] | null {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const [headers, all] = [server.headersTimeout / 1000, server.requestTimeout / 1000]
    const message = `The request took too long to arrive: its headers may take ${headers} s, all of it ${all} s`
    return ['request_timeout', message]
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    const message = `The headers are too long: all of them together may have ${maxHeaderSize} bytes`
    return ['headers_too_large', message]
  }
  if (!code?.startsWith('HPE_')) return null
  return ['malformed_request', 'What came is no HTTP request']
}

function textOf(code: ErrorCode, message: string): string {
  const status = STATUS[code]
  const body = JSON.stringify({ detail: message, code, message })
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
