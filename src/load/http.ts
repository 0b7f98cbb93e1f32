/**
 * A client that costs little, since it shares the machine with the server: Node's own, with
 * connections that stay, and no checks of what comes back.
 */
import { Agent, request } from 'node:http'

/** The server said no. */
export class Refused extends Error {
  readonly status: number

  constructor(status: number, what: string, body: string) {
    super(`${what}: ${status} ${body.slice(0, 200)}`)
    this.name = 'Refused'
    this.status = status
  }
}

/** Whether the server did what was asked is not known. */
export class NoAnswer extends Error {
  /** In few words, so that equal failures can be counted. */
  readonly reason: string

  constructor(what: string, reason: string) {
    super(`${what}: ${reason}`)
    this.name = 'NoAnswer'
    this.reason = reason
  }
}

export interface Call {
  /** The body of a 2xx answer. Rejects with {@link Refused} or {@link NoAnswer}. */
  answer: Promise<string>
  /** Gives up: `answer` rejects. */
  cancel(): void
}

export const DEADLINE_MS = 30_000

export class HttpClient {
  readonly #agent: Agent
  readonly #host: string
  readonly #port: number
  readonly #headers: Record<string, string>

  /** @param connections at most so many at a time; further requests wait for one of them. */
  constructor(url: string, connections: number, token: string | null = null) {
    const { hostname, port } = new URL(url)
    this.#host = hostname.replace(/^\[|\]$/g, '')
    this.#port = Number(port || 80)
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` }
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: connections,
      maxFreeSockets: connections,
    })
  }

  /**
   * Opens all connections. A server in Node accepts about one in a turn of its event loop, so that
   * under load, where turns are long, the last of 64 waited for more than a second.
   */
  async connect(): Promise<void> {
    const { maxSockets } = this.#agent
    await Promise.all(Array.from({ length: maxSockets }, () => this.get('/health')))
  }

  /** @param body JSON text; null sends none. */
  send(method: string, path: string, body: string | null, deadlineMs = DEADLINE_MS): Call {
    const what = `${method} ${path}`
    let cancel = () => {}
    const answer = new Promise<string>((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        host: this.#host,
        port: this.#port,
        method,
        path,
        headers:
          body === null
            ? this.#headers
            : {
                ...this.#headers,
                'content-type': 'application/json',
                'content-length': Buffer.byteLength(body),
              },
      })
      let over = false
      const giveUp = (reason: string) => {
        if (over) return
        over = true
        reject(new NoAnswer(what, reason))
        outgoing.destroy()
      }
      const deadline = setTimeout(
        () => giveUp(`no answer within ${deadlineMs / 1000} s`),
        deadlineMs,
      )
      cancel = () => giveUp('given up')
      outgoing.on('error', (error: NodeJS.ErrnoException) => giveUp(error.code ?? error.message))
      outgoing.on('close', () => {
        clearTimeout(deadline)
        giveUp('connection lost')
      })
      outgoing.on('response', (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => {
          text += chunk
        })
        incoming.on('end', () => {
          over = true
          const status = incoming.statusCode ?? 0
          if (status >= 200 && status < 300) resolve(text)
          else reject(new Refused(status, what, text))
        })
      })
      outgoing.end(body ?? undefined)
    })
    return { answer, cancel }
  }

  async post<Answer>(path: string, body: object): Promise<Answer> {
    return JSON.parse(await this.send('POST', path, JSON.stringify(body)).answer) as Answer
  }

  async get<Answer>(path: string): Promise<Answer> {
    return JSON.parse(await this.send('GET', path, null).answer) as Answer
  }

  close(): void {
    this.#agent.destroy()
  }
}
