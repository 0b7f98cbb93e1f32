/** Requests byte by byte, for clients that break off and for what no fetch sends. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface RawConnection {
  socket: Socket
  write(text: string | Buffer): void
  /** The next one: what comes until it is whole by its Content-Length, or the server closes. */
  answer(): Promise<{ status: number; head: string; body: string }>
}

export async function rawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  return {
    socket,
    write: (text) => void socket.write(text),
    async answer() {
      while (lengthOfWhole(received) === null && !socket.closed) {
        await Promise.race([once(socket, 'data'), once(socket, 'close')])
      }
      const length = lengthOfWhole(received) ?? received.length
      const [head = '', body = ''] = received.slice(0, length).split('\r\n\r\n', 2)
      received = received.slice(length)
      return { status: Number(head.split(' ')[1]), head, body }
    },
  }
}

/** Of the first answer that came; null while more of it is to come. */
function lengthOfWhole(received: string): number | null {
  const end = received.indexOf('\r\n\r\n')
  const length = /content-length: (\d+)/i.exec(received)?.[1]
  if (end < 0 || length === undefined) return null
  const whole = end + 4 + Number(length)
  return received.length >= whole ? whole : null
}

export const request = (method: string, path: string, body = '', headers: string[] = []): string =>
  [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(body
      ? ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
      : []),
    ...headers,
    '',
    body,
  ].join('\r\n')
