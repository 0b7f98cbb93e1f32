/** The built program as people run it: servers, runners and commands as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const DEADLINE_MS = 40_000

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** A process that goes on until it is stopped. */
export class Program {
  readonly child: ChildProcess
  readonly #lines: string[] = []
  readonly #watchers = new Set<() => void>()

  constructor(args: string[], options: { cwd: string; env?: Record<string, string> }) {
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (!stream) throw new Error('no output to read')
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line)
        for (const look of [...this.#watchers]) look()
      })
    }
  }

  /** The first line, said already or to come, that matches. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = this.#lines.map((line) => pattern.exec(line)).find(Boolean)
        if (!match) return
        clearTimeout(timer)
        this.#watchers.delete(look)
        resolve(match)
      }
      const timer = setTimeout(() => {
        this.#watchers.delete(look)
        reject(new Error(`no line ${pattern} in:\n${this.#lines.join('\n')}`))
      }, DEADLINE_MS)
      this.#watchers.add(look)
      look()
    })
  }

  /** @returns its exit code; null where the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode
    const exited = once(this.child, 'exit')
    this.child.kill(signal)
    const [code] = (await exited) as [number | null]
    return code
  }
}

/** Runs a command to its end. */
async function run(
  args: string[],
  options: { cwd: string; env?: Record<string, string>; input?: string },
): Promise<Outcome> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    timeout: DEADLINE_MS * 2,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.end(options.input ?? '')
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** A folder with a server, the runners that a test starts, and commands that speak to them. */
export class World {
  readonly folder: string
  readonly #env: Record<string, string>
  readonly #programs: Program[] = []
  #server: Program | undefined
  #port = '0'

  constructor(folder: string, env: Record<string, string> = {}) {
    this.folder = folder
    this.#env = env
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The second time on the same port and database, as after a crash. */
  async startServer(): Promise<void> {
    const database = `file:${join(this.folder, 'queue.db')}`
    this.#server = this.start(['serve', '--port', this.#port, '--database', database])
    const [, port] = await this.#server.line(/listens on http:\/\/127\.0\.0\.1:(\d+)/)
    this.#port = port ?? ''
  }

  async endServer(signal: NodeJS.Signals): Promise<number | null> {
    return (await this.#server?.end(signal)) ?? null
  }

  async startRunner(flags: string[], command: string[]): Promise<Program> {
    const runner = this.start(['runner', '--url', this.url, ...flags, '--', ...command])
    await runner.line(/registered as lnch_/)
    return runner
  }

  start(args: string[]): Program {
    const program = new Program(args, { cwd: this.folder, env: this.#env })
    this.#programs.push(program)
    return program
  }

  cli(args: string[], input?: string): Promise<Outcome> {
    const env = { ...this.#env, RUNQUEUE_URL: this.url }
    return run(args, { cwd: this.folder, env, ...(input === undefined ? {} : { input }) })
  }

  async json<T>(args: string[]): Promise<T> {
    const { stdout, stderr, code } = await this.cli([...args, '--json'])
    if (code !== 0) throw new Error(`runqueue ${args.join(' ')} exits ${code}: ${stderr}`)
    return JSON.parse(stdout) as T
  }

  /** Everything that was started is gone afterwards, runners before their server. */
  async close(): Promise<void> {
    for (const program of this.#programs.reverse()) await program.end('SIGKILL')
  }
}
