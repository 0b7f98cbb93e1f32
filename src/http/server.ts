/** The server under the API: how long it waits for requests, and how many connections it has. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import type { serveRequests } from './requests.ts'
import { answerUnparsed } from './unparsed.ts'

export interface HttpServerOptions {
  maxConnections: number
  /** Connections were refused because there are too many; told at most once a minute. */
  onTooMany: () => void
  timeouts?: typeof TIMEOUTS
}

/**
 * What a request may take to arrive; what its answer takes is not bounded here, since polls wait.
 * Clients keep idle connections, often for 5 s, which is Node's own limit too: whoever closes one
 * just as a report goes out on it loses the report. So this side keeps them much longer.
 */
const TIMEOUTS = {
  headersTimeout: 20_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 75_000,
  /** How often Node looks for requests that are late. */
  connectionsCheckingInterval: 5_000,
}
const TOO_MANY_AGAIN_MS = 60_000
/**
 * What clients sent before they could know of the end, on connections that Node calls idle or has not
 * accepted yet, would be lost with them: so long it still comes in, and is answered.
 */
const ON_ITS_WAY_MS = 200
/** Requests that are still not done by then are cut. */
const CLOSE_DEADLINE_MS = 10_000

/** So many connections beyond the maximum are told so; those beyond that are closed unanswered. */
const SURPLUS = 1_000

/** Connections beyond the maximum get 503 for what they ask first, and are closed. */
export function createHttpServer(
  answer: ReturnType<typeof serveRequests>,
  options: HttpServerOptions,
): Server {
  const { maxConnections, onTooMany, timeouts = TIMEOUTS } = options
  const surplus = new WeakSet<Socket>()
  const server = createAdaptorServer({
    fetch: (request, env) =>
      'incoming' in env && surplus.has(env.incoming.socket as Socket)
        ? tooManyConnections()
        : answer(request, env as HttpBindings),
    serverOptions: timeouts,
  }) as Server
  server.maxConnections = maxConnections + SURPLUS
  answerUnparsed(server)
  let toldAt = Number.NEGATIVE_INFINITY
  const tell = () => {
    if (performance.now() - toldAt < TOO_MANY_AGAIN_MS) return
    toldAt = performance.now()
    onTooMany()
  }
  let open = 0
  server.on('connection', (socket: Socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
    if (open <= maxConnections) return
    surplus.add(socket)
    tell()
  })
  server.on('drop', tell)
  return server
}

function tooManyConnections(): Response {
  const message = 'Too many connections are open: try again in a moment'
  return Response.json(
    { detail: message, code: 'too_many_connections', message },
    { status: 503, headers: { 'Retry-After': '1', Connection: 'close' } },
  )
}

/** Connections that were opened ahead and have asked nothing yet, which Node does not call idle. */
export function silentConnections(server: Server): Set<Socket> {
  const silent = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }) => silent.delete(socket))
  return silent
}

/** Resolves when every request that was sent has its answer, and no connection is left. */
export async function closeServer(server: Server, silent: Set<Socket>): Promise<void> {
  server.prependListener('request', (_, response) => {
    response.shouldKeepAlive = false
  })
  await setTimeout(ON_ITS_WAY_MS)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const socket of silent) socket.destroy()
  // Answers that are on their way out keep their connection until they are written.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const cut = globalThis.setTimeout(() => server.closeAllConnections(), CLOSE_DEADLINE_MS)
  await closed
  clearInterval(idle)
  clearTimeout(cut)
}
