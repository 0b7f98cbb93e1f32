/**
 * One command from start to end, with all the processes it starts. Knows nothing of the server.
 *
 * The command leads a process group of its own, so that a stop reaches its children too. (A child
 * that leaves the group, as daemons do, is out of reach.) The price: the group outlives a runner
 * that is killed by SIGKILL, or by SIGHUP when its terminal closes.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { OutputTail } from './output-tail.ts'

export interface ProcessOptions {
  command: readonly [string, ...string[]]
  cwd: string
  /** Added to the runner's own; undefined removes a variable. */
  env: Record<string, string | undefined>
  /** Written to stdin, which then ends. */
  input: string
  /** How much of the end of stdout is kept. */
  output_bytes: number
  /**
   * What stdout and stderr get to end after the command has: children left behind may hold them
   * for ever. Default: 2.
   */
  streams_seconds?: number
}

export type Outcome =
  /** `left_out`: how many bytes came before the text, where there were more than are kept. */
  | { status: 'completed'; text: string; left_out: number }
  | { status: 'failed'; error: string }
  /** The signal that ended the command. */
  | { status: 'stopped'; signal: StopSignal }

type StopSignal = 'SIGTERM' | 'SIGKILL'

const ERROR_BYTES = 8 * 1024
const GROUP_LOOK_MS = 20

const startProcess = ({ command: [program, ...args], cwd, env }: ProcessOptions) =>
  spawn(program, args, { cwd, env: { ...process.env, ...env }, detached: true })

export class CommandProcess {
  /** Never rejects: a command that cannot be started has failed. */
  readonly outcome: Promise<Outcome>
  #pid: number | undefined
  #sent: StopSignal | null = null
  #graceTimer: NodeJS.Timeout | undefined

  constructor(options: ProcessOptions) {
    this.outcome = this.#run(options).finally(() => {
      // From here on the number of the group may be somebody else's.
      this.#pid = undefined
      clearTimeout(this.#graceTimer)
    })
  }

  /**
   * Asks the group to end, and ends it after the grace period. A command that has exited already
   * keeps its outcome.
   */
  stop(graceSeconds: number): void {
    if (this.#sent !== null) return
    this.#send('SIGTERM')
    this.#graceTimer = setTimeout(() => this.kill(), graceSeconds * 1000)
  }

  kill(): void {
    this.#send('SIGKILL')
  }

  async #run(options: ProcessOptions): Promise<Outcome> {
    const obstacle = whyNotIn(options.cwd)
    if (obstacle !== null) {
      return { status: 'failed', error: `cannot work in project_dir ${options.cwd}: ${obstacle}` }
    }
    let child: ChildProcessWithoutNullStreams
    try {
      child = startProcess(options)
      this.#pid = child.pid
      await once(child, 'spawn')
    } catch (error) {
      return { status: 'failed', error: whyNotStarted(options.command[0], error) }
    }
    // Nobody has to read it.
    child.stdin.on('error', () => {})
    child.stdin.end(options.input)
    const output = new OutputTail(options.output_bytes)
    const errors = new OutputTail(ERROR_BYTES)
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))

    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      child.once('exit', (...exit) => resolve(exit))
    })
    const stoppedBy = this.#sent
    if (stoppedBy !== null) await this.#groupEnd()
    const streamsMs = (options.streams_seconds ?? 2) * 1000
    await Promise.race([closed, sleep(streamsMs, undefined, { ref: false })])
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()

    if (stoppedBy !== null) return { status: 'stopped', signal: stoppedBy }
    if (code === 0) {
      return { status: 'completed', text: output.text(), left_out: output.leftOut }
    }
    const how = signal === null ? `exited with code ${code}` : `was killed by ${signal}`
    return { status: 'failed', error: `the command ${how}\n${errors.text()}`.trimEnd() }
  }

  /** The grace period is for what the command has started, too. */
  async #groupEnd(): Promise<void> {
    while (this.#sent !== 'SIGKILL' && signalGroup(this.#pid, 0)) await sleep(GROUP_LOOK_MS)
  }

  #send(signal: StopSignal): void {
    if (this.#pid === undefined) return
    this.#sent = signal
    signalGroup(this.#pid, signal)
  }
}

/** @returns whether the group had anybody left to signal. */
function signalGroup(pid: number | undefined, signal: StopSignal | 0): boolean {
  try {
    return pid !== undefined && process.kill(-pid, signal)
  } catch {
    return false
  }
}

/** Asked beforehand, because a spawn blames the program for a directory that is not there. */
function whyNotIn(directory: string): string | null {
  try {
    return statSync(directory).isDirectory() ? null : 'it is not a directory'
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? 'there is no such directory on the host of this runner' : message
  }
}

function whyNotStarted(program: string, error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such program, or not the interpreter that its first line names',
    EACCES: 'it may not be executed, or its directory not be entered',
    E2BIG: 'its arguments and environment are too long for this system',
  }
  return `cannot start ${program}: ${reasons[code] ?? message}`
}
