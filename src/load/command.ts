/** `runqueue load`: flags, Ctrl-C, and where the report goes. */
import { randomInt } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { Argument, Command } from 'commander'
import type { Context } from '../cli/context.ts'
import { UsageError } from '../cli/errors.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { jsonOption, seconds, tokenOption, wholeNumber } from '../cli/options.ts'
import { printJson } from '../cli/output.ts'
import {
  defaultsInWords,
  loadOptions,
  RUNNERS_MAX,
  RUNS_MAX,
  SCENARIOS,
  type Scenario,
} from './options.ts'
import { showProgress } from './progress.ts'
import { htmlReport } from './report-html.ts'
import { printReport } from './report-text.ts'

interface LoadFlags {
  rate?: number
  duration?: number
  runs?: number
  runners?: number
  connections?: number
  hosts?: number
  tags?: number
  workMs?: number
  seed?: number
  url?: string
  token?: string
  html?: string
  json?: true
}

const SEED_MAX = 2 ** 32 - 1

const SUMMARIES: Record<Scenario, string> = {
  steady: 'runs arrive at a steady rate',
  burst: 'all runs at once',
  backlog: 'runs that no runner can take, and steady work beside them',
  idle: 'many runners wait for a run now and then: how fast do they wake?',
  history: 'many runs have ended before, then steady work',
}

const HELP = `
Scenarios, and what they do when nothing is said:
${SCENARIOS.map((name) => `  ${name.padEnd(8)} ${SUMMARIES[name]}\n           ${defaultsInWords(name)}\n`).join('')}
Without --url it starts a server of its own, with settings from the environment as \`serve\` takes
them, on a database in the folder for temporary files (env: TMPDIR); it removes both at the end.
With --url and a server that wants a token it needs an admin's, for it is client and runner in one.
Each runner has a connection of its own and waits for work in long polls, as real ones do.

At the end all runs are read back and compared with what the harness saw: none lost or doubled, none
claimed twice or out of order, all ended as they had to. The exit code is 1 when that does not hold.
Ctrl-C ends the load early, with the report of what was done.
`

export function loadCommand(context: Context): Command {
  return new Command('load')
    .summary('test a server under load')
    .description('Puts a server on this machine under load, measures it and checks what it did.')
    .addArgument(new Argument('[scenario]', 'see below').choices(SCENARIOS).default('steady'))
    .optionsGroup('Load:')
    .option('--rate <n>', 'runs a second', wholeNumber(1, 100_000))
    .option('--duration <seconds>', 'for how long runs arrive', seconds(0.1, 3600))
    .option('--runs <n>', 'how many at once, or before all else', wholeNumber(1, RUNS_MAX))
    .option('--runners <n>', 'how many wait for work', wholeNumber(1, RUNNERS_MAX))
    .option(
      '--work-ms <n>',
      'how long a runner works on a measured run',
      wholeNumber(0, 600_000),
      0,
    )
    .option('--hosts <n>', 'runners spread over hosts, runs demand one', wholeNumber(1, 1000), 1)
    .option('--tags <n>', 'runs demand one of so many tags', wholeNumber(0, 100), 0)
    .option('--connections <n>', 'of clients that add runs', wholeNumber(1, 1000), 64)
    .option('--seed <n>', 'repeats a load (default: another each time)', wholeNumber(0, SEED_MAX))
    .option('--url <url>', 'a server on this machine that is there already')
    .addOption(tokenOption())
    .optionsGroup('Report:')
    .addOption(jsonOption())
    .option('--html <file>', 'write a page with plots, which needs no network')
    .addHelpText('after', HELP)
    .action((scenario: Scenario, flags: LoadFlags) => run(context, scenario, flags))
}

async function run(context: Context, scenario: Scenario, flags: LoadFlags): Promise<void> {
  const { duration, workMs, html, json, token, seed = randomInt(SEED_MAX), ...rest } = flags
  const given = { ...rest, work_ms: workMs, duration_seconds: duration }
  const options = loadOptions(scenario, seed, given)
  if (html !== undefined) refuseUnwritable(html)
  const stop = new AbortController()
  const ignoreInterrupt = context.onInterrupt(() => stop.abort())
  // Only now: its histograms take longer to load than other commands take in all.
  const { runLoad } = await import('./load.ts')
  const report = await runLoad(options, {
    progress: showProgress(context.stderr, options),
    token: token ?? null,
    stop: stop.signal,
    execArgv: process.execArgv,
  }).finally(ignoreInterrupt)
  if (json) printJson(context.stdout, report)
  else printReport(context.stdout, report)
  if (html !== undefined) {
    writeFileSync(html, htmlReport(report))
    context.stderr.write(`the page is in ${html}\n`)
  }
  if (!report.ok) context.exitCode = EXIT.failed
  else if (report.ended === 'stopped') context.exitCode = EXIT.interrupted
}

/** Before the load rather than after it. */
function refuseUnwritable(file: string): void {
  try {
    appendFileSync(file, '')
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${(error as Error).message}`)
  }
}
