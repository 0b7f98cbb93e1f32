/** A server process: config → database → recovery → app → listen → sweep, and the way back. */
import type { Server } from 'node:http'
import type { Logger } from 'pino'
import { logChanges } from './change-log.ts'
import type { Config } from './config.ts'
import { openEngine } from './engine.ts'
import { isLoopback } from './http/loopback.ts'
import { serveRequests } from './http/requests.ts'
import type { Engine } from './queue/engine.ts'
import { addSeconds, timestamp } from './queue/time.ts'
import { type Tracing, wantsTraces } from './tracing/tracing.ts'
import { recoverAll } from './upkeep/recovery.ts'
import { type Sweeper, startSweeper } from './upkeep/sweeper.ts'
import { isDatabaseTrouble, seldomOfEachTrouble } from './upkeep/trouble.ts'

export interface RunningServer {
  /** Where it listens, for example `http://127.0.0.1:8765`. */
  url: string
  /** No token was there at the start: whoever is on this machine may do everything. */
  isOpen: boolean
  /**
   * Leaves in order: no new connections, waiting polls answered at once, requests at hand finished,
   * the database closed. Resolves when all is done.
   */
  close(): Promise<void>
}

/** The port is taken, the address is not this machine's or not safe: in words that say what to do. */
class ListenError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ListenError'
  }
}

/** @throws DatabaseOpenError, ListenError */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const tracing = await tracingOf(process.env, log)
  // What answers requests is loaded while the engine's thread loads what that needs.
  const [engine, { createApp }, { closeServer, createHttpServer, silentConnections }] =
    await Promise.all([
      openEngine({
        url: config.databaseUrl,
        durability: config.durability,
        matchTimeoutSeconds: config.noMatchTimeoutSeconds,
        thread: true,
      }),
      import('./http/app.ts'),
      import('./http/server.ts'),
    ])
  const closing = new AbortController()
  const now = () => timestamp(new Date())
  const seldom = seldomOfEachTrouble(() => performance.now())
  let sweeper: Sweeper | undefined
  try {
    const { any } = await engine.tokens.find(null)
    if (!any) refuseStrangers(config)
    await recover(engine, config, now(), log)
    const app = createApp({
      engine,
      config,
      now,
      closing: closing.signal,
      log,
      onError(error, { method, path, request_id }) {
        const facts = seldom(error)
        if (facts) log.error({ request_id, err: error, method, path, ...facts }, 'request failed')
        if (isDatabaseTrouble(error)) sweeper?.excuseSilence()
      },
    })
    const { maxConnections } = config
    const server = createHttpServer(serveRequests(app, log, tracing), {
      maxConnections,
      onTooMany: () => log.warn({ maxConnections }, 'too many connections: new ones are refused'),
    })
    const silent = silentConnections(server)
    await listen(server, config)
    sweeper = startSweeper({
      engine,
      config,
      now,
      elapsedMs: () => performance.now(),
      onChanged: (changes) => logChanges(log, changes),
      onSwept: (what, facts) => log.info(facts, what),
      onError: (error) => log.error({ err: error }, 'sweep failed'),
    })
    return {
      url: urlOf(server, config.host),
      isOpen: !any,
      async close() {
        const swept = sweeper?.stop()
        closing.abort()
        await closeServer(server, silent)
        await swept
        await engine.close()
        await tracing?.close()
      },
    }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** OpenTelemetry is loaded only where its variables ask for it. */
async function tracingOf(environment: NodeJS.ProcessEnv, log: Logger): Promise<Tracing | null> {
  if (!wantsTraces(environment)) return null
  const { startTracing } = await import('./tracing/otel.ts')
  return await startTracing(environment, (what) => log.warn({ what }, 'tracing'))
}

/** Before anything listens: without a token nobody who can reach it could be refused. */
function refuseStrangers({ host }: Config): void {
  if (isLoopback(host)) return
  throw new ListenError(
    `other machines can reach ${host}, and there is no token yet, so anybody could do anything. Create one on this database with \`runqueue token create --role admin --name NAME\`, or listen on 127.0.0.1 with --host or HOST.`,
  )
}

async function recover(engine: Engine, config: Config, now: string, log: Logger): Promise<void> {
  const { recoveryMode, recoveryThresholdSeconds, staleThresholdSeconds } = config
  const recovered = await recoverAll(
    engine.runs,
    recoveryMode,
    {
      thresholdSeconds: recoveryThresholdSeconds,
      aliveSince: addSeconds(now, -staleThresholdSeconds),
    },
    now,
    (changes) => logChanges(log, changes),
  )
  if (Object.values(recovered).some((count) => count > 0)) {
    log.info({ mode: recoveryMode, ...recovered }, 'recovered runs that an earlier server left')
  }
}

async function listen(server: Server, { host, port }: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
    server.listen(port, host, resolve)
  })
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(
        `port ${port} on ${host} is in use, perhaps by another runqueue. Stop that, or choose a port with --port or PORT (0 picks a free one).`,
        error,
      )
    case 'EACCES':
      return new ListenError(
        `this user may not listen on port ${port}. Choose one above 1023 with --port or PORT.`,
        error,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ListenError(
        `${host} is not an address of this machine. Choose one with --host or HOST.`,
        error,
      )
    default:
      return error
  }
}

function urlOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
