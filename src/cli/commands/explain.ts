import { Command } from 'commander'
import type { RunExplanation, RunnerExplanation } from '../../client/index.ts'
import type { Context, Output } from '../context.ts'
import { UsageError } from '../errors.ts'
import { clientOf, type ServerOptions } from '../options.ts'
import { printJson, printLine, styleStatus } from '../output.ts'
import { type Column, printTable } from '../table.ts'
import { oneLine, printable, relative } from '../text.ts'

interface ExplainOptions extends ServerOptions {
  runner?: string
}

export function explainCommand(context: Context): Command {
  return new Command('explain')
    .summary('why a run does not start, or a runner gets nothing')
    .description(
      'Says why a run does not start: what comes before it, and what each runner offers of what it demands. With --runner: why that runner gets nothing.',
    )
    .argument('[run]', 'id of the run')
    .option('--runner <id>', 'the runner to explain, instead of a run')
    .action((runId: string | undefined, options: ExplainOptions) =>
      explain(context, runId, options),
    )
}

async function explain(
  context: Context,
  runId: string | undefined,
  options: ExplainOptions,
): Promise<void> {
  const client = clientOf(context, options)
  const { runner } = options
  if (runner !== undefined && runId === undefined) {
    const told = await client.explainRunner(runner)
    if (options.json) printJson(context.stdout, told)
    else printRunner(context, told)
  } else if (runner === undefined && runId !== undefined) {
    const told = await client.explainRun(runId)
    if (options.json) printJson(context.stdout, told)
    else printRun(context, told)
  } else {
    throw new UsageError('name one: a run, or with --runner a runner')
  }
}

function printRun({ stdout, now }: Context, told: RunExplanation): void {
  printWords(stdout, told.run_id, told)
  if (told.runners.length === 0) return
  stdout.write('\n')
  printTable(stdout, runnerColumns(now()), told.runners)
  printLeftOut(stdout, told.runners_left_out, 'runner')
}

function printRunner({ stdout }: Context, told: RunnerExplanation): void {
  printWords(stdout, `${told.runner_id} on ${told.hostname}`, told)
  if (told.unmet.length === 0) return
  stdout.write('\n')
  printTable(stdout, UNMET_COLUMNS, told.unmet)
  printLeftOut(stdout, told.unmet_left_out, 'demand')
}

type Words = Pick<RunExplanation, 'summary' | 'reasons' | 'outlook'>

function printWords(stdout: Output, name: string, { summary, reasons, outlook }: Words): void {
  stdout.write(`${stdout.style('bold', oneLine(name))}  ${printable(summary)}\n`)
  for (const text of outlook === null ? reasons : [...reasons, outlook]) {
    printLine(stdout, `- ${text}`)
  }
}

function printLeftOut(
  stdout: Output,
  left_out: { count: number; at_least: boolean },
  what: string,
) {
  const { count, at_least } = left_out
  if (count === 0) return
  const more = `${at_least ? 'at least ' : ''}${count} more ${what}${count === 1 ? '' : 's'}`
  stdout.write(`${stdout.style('dim', `and ${more}`)}\n`)
}

type Matched = RunExplanation['runners'][number]

const runnerColumns = (now: Date): Column<Matched>[] => [
  { title: 'RUNNER', value: ({ runner_id }) => runner_id },
  { title: 'HOST', value: ({ hostname }) => hostname },
  { title: 'STATUS', value: ({ state }) => state, style: styleStatus },
  { title: 'SEEN', value: ({ last_heartbeat }) => relative(last_heartbeat, now) },
  { title: 'OFFERS ALL', value: ({ satisfies }) => (satisfies ? 'yes' : 'no') },
  { title: 'WHY', value: ({ summary }) => summary },
]

type Unmet = RunnerExplanation['unmet'][number]

const UNMET_COLUMNS: Column<Unmet>[] = [
  { title: 'FIRST RUN', value: ({ run_id }) => run_id },
  { title: 'PRIORITY', value: ({ priority }) => String(priority) },
  { title: 'WHY', value: ({ summary }) => summary },
]
