/**
 * A keep-alive HTTP/1.1 connection that costs little: server and load share the machine, and what
 * the load takes, the server has not. One request at a time, answers with a Content-Length.
 */
import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  body: string
}

/** Larger than any answer that the benchmark asks for; longer ones come in several pieces. */
const READ_BYTES = 16 * 1024

export class HttpConnection {
  readonly #socket: Socket
  readonly #head: string
  #received = ''
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#head = ` HTTP/1.1\r\nhost: ${host}\r\n`
    socket.setNoDelay(true)
    socket.on('error', (error) => this.#settle?.reject(error))
    socket.on('close', () => this.#settle?.reject(new Error('connection closed')))
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url)
    let connection: HttpConnection | undefined
    const socket = connect({
      host: hostname,
      port: Number(port),
      // Straight from the socket: going through a stream takes as long again as what is done here.
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback(length, bytes) {
          connection?.receive(Buffer.from(bytes.buffer, bytes.byteOffset, length))
          return true
        },
      },
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    connection = new HttpConnection(socket, host)
    return connection
  }

  get(path: string): Promise<Answer> {
    return this.#send(`GET ${path}${this.#head}\r\n`)
  }

  post(path: string, body: unknown): Promise<Answer> {
    const text = JSON.stringify(body)
    const length = Buffer.byteLength(text)
    return this.#send(
      `POST ${path}${this.#head}content-type: application/json\r\ncontent-length: ${length}\r\n\r\n${text}`,
    )
  }

  close(): void {
    this.#settle = undefined
    this.#socket.destroy()
  }

  #send(request: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#socket.write(request)
    })
  }

  /** Bytes as characters, so that lengths are those of the head; only a body with others is decoded. */
  receive(bytes: Buffer): void {
    const received = this.#received + bytes.toString('latin1')
    this.#received = received
    const end = received.indexOf('\r\n\r\n')
    if (end === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.slice(0, end))?.[1] ?? 0)
    const start = end + 4
    if (received.length < start + length) return
    const body = received.slice(start, start + length)
    this.#received = received.slice(start + length)
    const settle = this.#settle
    this.#settle = undefined
    settle?.resolve({ status: Number(received.slice(9, 12)), body: decoded(body) })
  }
}

const decoded = (body: string): string =>
  /[\x80-\xff]/.test(body) ? Buffer.from(body, 'latin1').toString() : body
