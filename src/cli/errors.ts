/** Errors at the top: what went wrong in words, and the exit code that says it to scripts. */
import { CommanderError, InvalidArgumentError } from 'commander'
import { ApiError, ConnectionError, isTokenRefused } from '../client/index.ts'
import type { Context, Output } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { printable } from './text.ts'

/** The command line makes no sense, which shows only once its parts are seen together. */
export class UsageError extends Error {}

/** Follows every refusal of a command line. */
export const HELP_HINT = '(--help tells more)'

/** Somebody pressed Ctrl-C while the command waited; the message says what goes on without it. */
export class Interrupted extends Error {}

export function reportError(context: Context, error: unknown): ExitCode {
  // Commander has printed its own already.
  if (error instanceof CommanderError && !(error instanceof InvalidArgumentError)) {
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
  const { code, text } = inWords(error)
  const { stderr } = context
  const prefix = error instanceof Interrupted ? '' : 'error: '
  stderr.write(styleError(stderr, `${prefix}${printable(text)}\n`))
  return code
}

/** `error:` in red, of whoever's error. */
export function styleError(stderr: Output, text: string): string {
  return text.replace(/^error:/, stderr.style('red', 'error:'))
}

function inWords(error: unknown): { code: ExitCode; text: string } {
  if (error instanceof UsageError) {
    return { code: EXIT.usage, text: `${error.message}\n${HELP_HINT}` }
  }
  if (error instanceof Interrupted) return { code: EXIT.interrupted, text: error.message }
  if (isTokenRefused(error)) {
    return {
      code: EXIT.denied,
      text: `${error.message} (${error.code})\n--token or RUNQUEUE_TOKEN gives one; \`runqueue token create\`, where the database is, makes one.`,
    }
  }
  if (error instanceof ApiError) {
    return { code: EXIT.refused, text: `${error.message} (${error.code})` }
  }
  if (error instanceof ConnectionError) {
    return {
      code: EXIT.unreachable,
      text: `${error.message}\n--url or RUNQUEUE_URL name the server; \`runqueue serve\` starts one.`,
    }
  }
  return { code: EXIT.failed, text: error instanceof Error ? error.message : String(error) }
}
