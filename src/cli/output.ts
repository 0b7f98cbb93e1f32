/** How answers reach a person: coloured words, facts, texts; and programs: JSON. */
import type { AddRunAnswer } from '../client/index.ts'
import type { Context, Format, Output } from './context.ts'
import { oneLine, printable } from './text.ts'

export function printJson(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** The id of a new run alone on stdout; on stderr, where nobody is there to take it. */
export function printAdded(
  { stdout, stderr }: Context,
  added: AddRunAnswer,
  { json }: { json?: true },
): void {
  if (json) printJson(stdout, added)
  else stdout.write(`${added.run_id}\n`)
  if (json || added.matching_runners !== 0) return
  printLine(stderr, `no runner can take it now: see \`runqueue explain ${added.run_id}\``)
}

/** Text for people: made harmless, ending in a line break. */
export function printLine(output: Output, text: string): void {
  output.write(`${printable(text)}\n`)
}

const STATUS_FORMATS: Record<string, Format> = {
  pending: 'yellow',
  claimed: 'blue',
  running: 'cyan',
  stopping: 'magenta',
  completed: 'green',
  finished: 'green',
  online: 'green',
  usable: 'green',
  failed: 'red',
  stale: 'red',
  deregistered: 'red',
  expired: 'red',
  revoked: 'gray',
  stopped: 'gray',
}

export function styleStatus(output: Output, status: string): string {
  const format = STATUS_FORMATS[status]
  return format === undefined ? oneLine(status) : output.style(format, oneLine(status))
}

/** Titles and values below each other, the values aligned; null values are left out. */
export function printFacts(output: Output, facts: [title: string, value: string | null][]): void {
  const shown = facts.filter((fact): fact is [string, string] => fact[1] !== null)
  const width = Math.max(...shown.map(([title]) => title.length))
  for (const [title, value] of shown) {
    output.write(`${output.style('dim', title.padEnd(width))}  ${value}\n`)
  }
}

/** A title with a text of any length below, indented. */
export function printBlock(output: Output, title: string, text: string): void {
  const indented = printable(text)
    .trimEnd()
    .replace(/^(?=.)/gm, '  ')
  output.write(`\n${output.style('bold', title)}\n${indented}\n`)
}
