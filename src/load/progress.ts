/** What a person sees while a load goes on. */
import type { Output } from '../cli/context.ts'
import { statusLine } from '../cli/status-line.ts'
import type { Ledger } from './ledger.ts'
import type { LoadOptions } from './options.ts'
import type { Recorder } from './recorder.ts'
import { count, milliseconds } from './report.ts'

export interface Progress {
  /** What goes on from now on. */
  phase(words: string): void
  /** The measured part begins: its figures are shown, every now and then. */
  measure(recorder: Recorder, ledger: Ledger): void
  end(): void
}

/** A live line may move; a log is not to be filled. */
const EVERY_MS = { live: 500, log: 5000 }

export function showProgress(output: Output, options: LoadOptions): Progress {
  const line = statusLine(output, 'load', () => new Date())
  let timer: NodeJS.Timeout | undefined
  const show = (words: string) => line.show({ words, since: null, hint: null })
  return {
    phase(words) {
      clearInterval(timer)
      show(words)
    },
    measure(recorder, ledger) {
      const begin = performance.now()
      const draw = () => show(figures(options, recorder, ledger, performance.now() - begin))
      draw()
      timer = setInterval(draw, output.isTty ? EVERY_MS.live : EVERY_MS.log)
    },
    end() {
      clearInterval(timer)
      line.clear()
    },
  }
}

function figures(
  { duration_seconds }: LoadOptions,
  { series }: Recorder,
  { open }: Ledger,
  elapsedMs: number,
): string {
  const seconds = `${Math.floor(elapsedMs / 1000)}${duration_seconds === null ? '' : ` of ${duration_seconds}`} s`
  const row = series.at(-1)
  if (!row) return seconds
  const { added, completed, latency } = row
  const wait = latency.wait && `wait p99 ${milliseconds(latency.wait.p99)} ms`
  return [
    seconds,
    `${count(added)}/s added`,
    `${count(completed)}/s completed`,
    `${count(open)} open`,
    wait,
  ]
    .filter(Boolean)
    .join(', ')
}
