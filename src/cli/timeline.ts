/** The history of a run in words, each change with the time since the one before. */
import type { RunnerView } from '../http/views.ts'
import type { Cause } from '../queue/cause.ts'
import type { RunEvent } from '../queue/run-event.ts'
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
    printLine(output, oneLine(wordsOf(event, runners)))
  }
}

/** Fractions where they tell something. */
function elapsed(from: string, to: string): string {
  const seconds = Math.max(0, secondsBetween(from, to))
  return seconds < 10 ? `${seconds.toFixed(1)}s` : duration(seconds)
}

const WORDS: Record<Cause, (event: RunEvent, runner: string, by: string) => string> = {
  added: (_event, _runner, by) => `added by ${by}`,
  became_available: () => 'its time came',
  claimed: ({ attempt }, runner) => `attempt ${attempt}, claimed by ${runner}`,
  claim_released: (_, runner) => `given back: ${runner} did not get the answer`,
  claim_timed_out: (_, runner) => `given back: ${runner} did not start it in time`,
  started: (_, runner) => `started on ${runner}`,
  completed: (_, runner) => `completed on ${runner}`,
  failed: (event) => `attempt ${event.attempt} failed${because(event)}`,
  attempt_failed: (event) =>
    `attempt ${event.attempt} failed, and will be repeated${because(event)}`,
  stop_requested: (_event, _runner, by) => `asked to stop by ${by}`,
  stopped: (_, runner) => `stopped on ${runner}`,
  cancelled: (_event, _runner, by) => `stopped by ${by} before anybody took it`,
  stop_timed_out: (_, runner) => `taken for stopped: ${runner} did not confirm it in time`,
  match_timed_out: (event) => `given up${because(event)}`,
  runner_lost: ({ attempt }, runner) => `attempt ${attempt} ended: ${runner} was lost`,
  runner_removed: ({ attempt }, runner) => `attempt ${attempt} ended: ${runner} was removed`,
  recovered: ({ attempt }) => `attempt ${attempt} ended: a server that started found it abandoned`,
  demands_changed: (_event, _runner, by) => `demands changed by ${by}`,
}

function wordsOf(event: RunEvent, runners: RunnerView[]): string {
  const { cause, runner_id } = event
  if (cause === null) return `changed by hand, by plain SQL${because(event)}`
  const host = runners.find((each) => each.runner_id === runner_id)?.hostname
  return WORDS[cause](event, host ?? runner_id ?? 'its runner', who(event))
}

const because = ({ detail }: RunEvent): string => (detail === null ? '' : `: ${detail}`)

function who({ changed_by }: RunEvent): string {
  if (changed_by === null) return 'plain SQL'
  if (changed_by === 'client') return 'a client'
  return changed_by.startsWith('client:') ? changed_by.replace(':', ' ') : `the ${changed_by}`
}
