/** Programs as processes of their own, which talk with the test by messages. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export interface Child<In, Out> {
  send(message: In): void
  /** The next message; rejects when the process ends instead, or keeps silent for too long. */
  next(): Promise<Out>
}

/** Starts the module at `url` with Node; killed at the end of the test if it still runs. */
export function forkModule<In extends object, Out>(url: URL, args: string[]): Child<In, Out> {
  const child = fork(fileURLToPath(url), args, {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => ended(child))
  const received: Out[] = []
  let deliver: (() => void) | undefined
  let over: string | undefined
  child.on('message', (message) => {
    received.push(message as Out)
    deliver?.()
  })
  child.on('exit', (code, signal) => {
    over = `process ended (${signal ?? `exit code ${code}`})`
    deliver?.()
  })
  return {
    send: (message) => void child.send(message),
    async next() {
      if (received.length === 0 && !over) {
        await new Promise<void>((resolve, reject) => {
          const silent = () => reject(new Error('process kept silent for 25 s'))
          const timer = setTimeout(silent, 25_000)
          deliver = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      const message = received.shift()
      if (message === undefined) throw new Error(over ?? 'no message')
      return message
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
}
