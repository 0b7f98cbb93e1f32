/** The server as a process of its own, as people start it: what was built, which starts twice as fast. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface ServeOptions {
  /** Where its `./data` is. */
  folder: string
  args?: string[]
  environment?: Record<string, string>
}

type Process = ChildProcessByStdio<null, Readable, Readable>

/** Starts it with nothing of this process's settings, and tells how it ended. */
export function spawnServe({ folder, args = [], environment = {} }: ServeOptions): {
  child: Process
  ended: Promise<Ended>
} {
  const child = spawn(process.execPath, [BIN, 'serve', ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], PORT: '0', LOG_LEVEL: 'warn', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      output[stream] += text
    })
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, ...output }))
  })
  return { child, ended }
}

export interface ServerProcess {
  url: string
  pid: number
  ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
}

/** Resolves when it listens; killed at the end of the test if it still runs. */
export async function startServe(options: ServeOptions): Promise<ServerProcess> {
  const { child, ended } = spawnServe(options)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const url = await new Promise<string>((resolve, reject) => {
    let printed = ''
    child.stdout.on('data', (text) => {
      printed += text
      const [, address] = /listens on (http:\S+)/.exec(printed) ?? []
      if (address) resolve(address)
    })
    void ended.then(({ stderr }) => reject(new Error(`it did not start: ${stderr}`)))
  })
  return { url, pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) }
}

/** Whether a promise settles within the time, without waiting for what it settles to. */
export async function settlesWithin(milliseconds: number, awaited: Promise<unknown>) {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds)
  })
  const settled = await Promise.race([awaited.then(() => true), late])
  clearTimeout(timer)
  return settled
}
