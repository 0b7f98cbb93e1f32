/** A server for the load alone: a process of its own on a database that goes with it. */
import { type ChildProcess, fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface OwnServer extends Address {
  /** Aborts with an Error when the server ends before it is told to. */
  died: AbortSignal
  close(): Promise<void>
}

interface Address {
  url: string
  database: string
}

/** The sources run as they are, the build has JavaScript. */
const MODULE = new URL(`./server-process${extname(import.meta.url)}`, import.meta.url)
const START_DEADLINE_MS = 30_000
const CLOSE_DEADLINE_MS = 5000

/**
 * Its settings come from the environment as those of any server.
 * @param execArgv what Node needs to run this program
 * @throws Error when it does not come up
 */
export async function startOwnServer(execArgv: string[]): Promise<OwnServer> {
  const child = fork(fileURLToPath(MODULE), {
    execArgv,
    // What it has to say is worth a break in the progress line.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const died = new AbortController()
  const ended = new Promise<void>((resolve) => {
    const over = (how: string) => {
      died.abort(new Error(`the server under load ended: ${how}`))
      resolve()
    }
    child.once('error', (error) => over(error.message))
    child.once('exit', (code, signal) => over(signal ?? `exit code ${code}`))
  })
  async function close(): Promise<void> {
    if (child.connected) child.disconnect()
    const late = setTimeout(() => child.kill('SIGKILL'), CLOSE_DEADLINE_MS)
    await ended
    clearTimeout(late)
  }
  try {
    return { ...(await addressOf(child, died.signal)), died: died.signal, close }
  } catch (error) {
    await close()
    throw error
  }
}

function addressOf(child: ChildProcess, died: AbortSignal): Promise<Address> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new Error(`the server under load did not come up in ${START_DEADLINE_MS / 1000} s`))
    }, START_DEADLINE_MS)
    died.addEventListener('abort', () => {
      clearTimeout(late)
      reject(died.reason)
    })
    child.once('message', (address: Address) => {
      clearTimeout(late)
      resolve(address)
    })
  })
}
