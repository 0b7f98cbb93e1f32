/**
 * One address before all servers, as a load balancer is. Each connection goes to one of those that
 * are up, at random; connections can be cut, between a request and its answer too.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Front {
  readonly #server: Server
  readonly #random: () => number
  readonly #ports = new Set<number>()
  readonly #open = new Set<Socket>()

  private constructor(server: Server, random: () => number) {
    this.#server = server
    this.#random = random
    server.on('connection', (socket) => this.#forward(socket))
  }

  static async start(random: () => number): Promise<Front> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Front(server, random)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  add(port: number): void {
    this.#ports.add(port)
  }

  remove(port: number): void {
    this.#ports.delete(port)
  }

  /** Breaks one connection. */
  cut(): void {
    this.#oneOf([...this.#open])?.destroy()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
  }

  #oneOf<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random() * items.length)]
  }

  #forward(client: Socket): void {
    const port = this.#oneOf([...this.#ports])
    client.on('error', () => {})
    if (port === undefined) {
      client.destroy()
      return
    }
    const server = connect(port, '127.0.0.1')
    server.on('error', () => {})
    this.#open.add(client)
    client.once('close', () => {
      this.#open.delete(client)
      server.destroy()
    })
    server.once('close', () => client.destroy())
    client.pipe(server).pipe(client)
  }
}
