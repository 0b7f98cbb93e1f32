/**
 * A keep-alive HTTP/1.1 connection that costs little: server and load share the machine, and what
 * the load takes, the server has not. One request at a time, answers with a Content-Length.
 */
import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  body: string
}

const HEADER_END = Buffer.from('\r\n\r\n')

export class HttpConnection {
  readonly #socket: Socket
  readonly #head: string
  #received: Buffer = Buffer.alloc(0)
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket, host: string) {
    this.#socket = socket
    this.#head = ` HTTP/1.1\r\nhost: ${host}\r\n`
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#settle?.reject(error))
    socket.on('close', () => this.#settle?.reject(new Error('connection closed')))
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port, host } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new HttpConnection(socket, host)
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

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const end = this.#received.indexOf(HEADER_END)
    if (end === -1) return
    const head = this.#received.toString('latin1', 0, end)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    const total = end + HEADER_END.length + length
    if (this.#received.length < total) return
    const body = this.#received.toString('utf8', end + HEADER_END.length, total)
    this.#received = this.#received.subarray(total)
    const settle = this.#settle
    this.#settle = undefined
    settle?.resolve({ status: Number(head.slice(9, 12)), body })
  }
}
