/** Servers as processes of their own, as they run in earnest. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const ECHO = fileURLToPath(new URL('./echo-server.mjs', import.meta.url))
const START_DEADLINE_MS = 20_000

export interface ServerProcess {
  url: string
  pid: number
  stop(): Promise<void>
}

export const startQueueServer = (
  database: string,
  environment: Record<string, string> = {},
): Promise<ServerProcess> =>
  start([BIN, 'serve', '--port', '0', '--database', `file:${database}`], environment)

export const startEchoServer = (): Promise<ServerProcess> => start([ECHO], {})

async function start(args: string[], environment: Record<string, string>): Promise<ServerProcess> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await addressOf(child)
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the server did not start')), START_DEADLINE_MS)
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    if (!child.stdout) throw new Error('no stdout')
    createInterface(child.stdout).on('line', (line) => {
      const url = /http:\/\/\S+/.exec(line)?.[0]
      if (!url) return
      clearTimeout(timer)
      resolve(url)
    })
  })
}

/** CPU time of a process so far, in ms (Linux: clock ticks are 10 ms). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Resident memory of a process, in MB. */
export function rssMb(pid: number): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1024
}
