/** The history of a run in words, each change with the time since the one before. */
import type { RunnerView } from '../http/views.ts'
import type { RunEvent } from '../queue/run-event.ts'
import { detailOf, eventWords } from '../queue/run-event-words.ts'
import { secondsBetween, utcText } from '../queue/time.ts'
import type { Output } from './context.ts'
import { printLine, styleStatus } from './output.ts'
import { duration, oneLine } from './text.ts'

/** Room for the words that there are. */
const STATUS_WIDTH = 'completed'.length
const AFTER_WIDTH = '+23h 59m'.length

export function printTimeline(output: Output, events: RunEvent[], runners: RunnerView[]): void {
  // None: it was copied from another database, which does not tell what was before.
  if (events.length === 0) return
  output.write(`\n${output.style('bold', 'History')}\n`)
  for (const [index, event] of events.entries()) {
    const before = events[index - 1]
    const after = before === undefined ? '' : `+${elapsed(before.at, event.at)}`
    const pad = ' '.repeat(Math.max(0, STATUS_WIDTH - event.to_status.length))
    const status = `${styleStatus(output, event.to_status)}${pad}`
    const words = `${utcText(event.at)}  ${after.padEnd(AFTER_WIDTH)}  `
    output.write(`  ${output.style('dim', words)}${status}  `)
    const host = runners.find(({ runner_id }) => runner_id === event.runner_id)?.hostname
    const detail = detailOf(event)
    const said = eventWords(event, host)
    printLine(output, oneLine(detail === null ? said : `${said}: ${detail}`))
  }
}

/** Fractions where they tell something. */
function elapsed(from: string, to: string): string {
  const seconds = Math.max(0, secondsBetween(from, to))
  return seconds < 10 ? `${seconds.toFixed(1)}s` : duration(seconds)
}
