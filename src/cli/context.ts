/** What a command may touch of the process around it; tests hand in their own. */
import { styleText } from 'node:util'
import type { Fetch } from '../client/fetch.ts'
import { httpFetch } from '../client/http-fetch.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

export type Format = Parameters<typeof styleText>[0]

export interface Output {
  write(text: string): void
  readonly isTty: boolean
  /** Of the terminal as it is now; undefined where there is none. */
  readonly columns: number | undefined
  /** Plain text where nobody sees colours or somebody asked for none. */
  style(format: Format, text: string): string
}

export interface Context {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdout: Output
  readonly stderr: Output
  readonly fetch: Fetch
  readonly now: () => Date
  /** Calls back at Ctrl-C, until the function it returns is called. */
  readonly onInterrupt: (callback: () => void) => () => void
  /** What a command that went well so far wants to exit with. */
  exitCode: ExitCode
}

export function processContext(): Context {
  return {
    // Only on demand: whoever touches stdin keeps a terminal's input open.
    get stdin() {
      return process.stdin
    },
    stdout: output(process.stdout),
    stderr: output(process.stderr),
    fetch: httpFetch,
    now: () => new Date(),
    onInterrupt(callback) {
      process.once('SIGINT', callback)
      return () => process.off('SIGINT', callback)
    },
    exitCode: EXIT.ok,
  }
}

function output(stream: NodeJS.WriteStream): Output {
  const isTty = stream.isTTY === true
  const color = isTty && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  return {
    write: (text) => void stream.write(text),
    isTty,
    get columns() {
      return isTty ? stream.columns || undefined : undefined
    },
    style: (format, text) => (color ? styleText(format, text, { validateStream: false }) : text),
  }
}
