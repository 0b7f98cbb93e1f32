/** Waiting for a run as a person sees it: what goes on, on stderr; how it ended, on stdout. */
import type { RunqueueClient } from '../client/index.ts'
import type { RunnerView, RunView } from '../http/views.ts'
import type { RunStatus } from '../queue/run.ts'
import type { Context, Output } from './context.ts'
import { Interrupted } from './errors.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { followRun, type Watcher } from './follow.ts'
import { printJson, printLine, styleStatus } from './output.ts'
import { activity, ending, lastAttempt, vain } from './run-words.ts'
import { type StatusLine, statusLine } from './status-line.ts'
import { printable } from './text.ts'

/** While a run waits: how often to ask whether any runner could take it. */
const RUNNERS_MS = 10_000

const TIME_IS_UP = new Error('the time is up')

/**
 * @param options.timeoutSeconds ends the wait, though not the run.
 * @returns the run as last seen: it has not ended where the time was up first.
 * @throws Interrupted at Ctrl-C; what the client throws when the server refuses or stays away.
 */
export async function watchRun(
  context: Context,
  client: RunqueueClient,
  first: RunView,
  options: { timeoutSeconds?: number | undefined } = {},
): Promise<RunView> {
  const end = new AbortController()
  const resume = `runqueue wait ${first.run_id}`
  const ignoreInterrupt = context.onInterrupt(() =>
    end.abort(new Interrupted(`interrupted; the run goes on, \`${resume}\` follows it again`)),
  )
  const { timeoutSeconds } = options
  const timer =
    timeoutSeconds === undefined
      ? undefined
      : setTimeout(() => end.abort(TIME_IS_UP), timeoutSeconds * 1000)
  const line = statusLine(context.stderr, first.run_id, context.now)
  const watcher = narrator(context, client, line, end.signal)
  let last = first
  try {
    return await followRun(client, first, end.signal, {
      onLook(run) {
        last = run
        return watcher.onLook(run)
      },
      onLost: watcher.onLost,
    })
  } catch (error) {
    if (error === TIME_IS_UP) return last
    throw error
  } finally {
    clearTimeout(timer)
    ignoreInterrupt()
    line.clear()
  }
}

/** Turns looks at a run into the words of the status line. */
function narrator(
  context: Context,
  client: RunqueueClient,
  line: StatusLine,
  signal: AbortSignal,
): Watcher {
  let runners: RunnerView[] | null = null
  let askedAt = Number.NEGATIVE_INFINITY
  let askedFor: string | null = null
  let shown = { words: '', since: 0 }

  /** What runners there are only adds to what is said, so asking may fail. */
  async function lookAtRunners({ status, runner_id }: RunView): Promise<void> {
    const newRunner = runner_id !== null && runner_id !== askedFor
    const old = performance.now() - askedAt > RUNNERS_MS
    if (!newRunner && !(old && status === 'pending')) return
    askedAt = performance.now()
    askedFor = runner_id
    runners = await client.listRunners(signal).then(
      (answer) => answer.runners,
      () => runners,
    )
  }

  return {
    async onLook(run) {
      await lookAtRunners(run)
      const { words, since } = activity(run, runners ?? [], context.now())
      if (shown.words !== words) {
        shown = { words, since: since === null ? context.now().getTime() : Date.parse(since) }
      }
      const waits = run.status === 'pending' && runners !== null
      line.show({ ...shown, hint: waits ? vain(run, runners ?? []) : null })
    },
    onLost(error) {
      line.show({ words: `${error.message}; trying again`, since: null, hint: null })
    },
  }
}

const OUTCOMES: Partial<Record<RunStatus, ExitCode>> = {
  completed: EXIT.ok,
  failed: EXIT.failed,
  stopped: EXIT.stopped,
}

/** Prints the result alone on stdout, all else on stderr; the outcome becomes the exit code. */
export function printOutcome(context: Context, run: RunView, json: boolean): void {
  const { stdout, stderr } = context
  const outcome = OUTCOMES[run.status]
  context.exitCode = outcome ?? EXIT.waitedOut
  const words = outcome === undefined ? `is still ${run.status}` : ending(run) + lastAttempt(run)
  stderr.write(`${run.run_id} ${words.replace(run.status, styleStatus(stderr, run.status))}\n`)
  if (run.error !== null) printLine(stderr, run.error)
  if (json) printJson(stdout, run)
  else if (outcome !== undefined) printResult(stdout, run)
}

/** A file or another program gets the text as it is; a terminal must be safe from it. */
function printResult(stdout: Output, { result }: RunView): void {
  if (result === null || (result.text === null && result.data === null)) return
  const text = result.text ?? JSON.stringify(result.data, null, 2)
  stdout.write(`${(stdout.isTty ? printable(text) : text).replace(/\n$/, '')}\n`)
}
