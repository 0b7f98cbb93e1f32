/** `runqueue runner`: flags, signals, and the lines a person reads. */
import { Command } from 'commander'
import { UsageError } from '../cli/errors.ts'
import { EXIT } from '../cli/exit-codes.ts'
import {
  collect,
  defined,
  jsonOption,
  seconds,
  tokenOption,
  urlOption,
  wholeNumber,
} from '../cli/options.ts'
import { printable } from '../cli/text.ts'
import type { Log } from './events.ts'
import { type RunnerOptions, SLOTS_MAX } from './options.ts'
import type { RunnerHandle } from './runner.ts'

interface RunnerFlags {
  url: string
  token?: string
  json?: true
  tag?: string[]
  requireMatchingTags?: boolean
  slots: number
  executorType: string
  profile: string
  hostname?: string
  projectDir?: string
  graceSeconds: number
  drainSeconds: number
  outputBytes: number
}

/** A result travels in one report, which must stay a reasonable request. */
const OUTPUT_BYTES_MAX = 1024 * 1024

const HELP = `
The command gets the prompt on stdin and RUNQUEUE_RUN_ID, RUNQUEUE_SESSION_ID, RUNQUEUE_TYPE,
RUNQUEUE_ATTEMPT, RUNQUEUE_PROMPT, RUNQUEUE_PARAMETERS (JSON), RUNQUEUE_AGENT_NAME,
RUNQUEUE_SCOPE (JSON), RUNQUEUE_PROJECT_DIR, RUNQUEUE_URL and RUNQUEUE_TOKEN (the runner's own) in
its environment; a variable that the run has no value for, or one over 128 KiB, is not set. It
works in the run's project_dir, or in that of the runner. What it prints is the result. An exit code
other than 0 fails the run, with the end of stderr as the error.

A command may take as long as it likes; timeout(1) in front of it ends it: -- timeout 600 command…

SIGTERM and Ctrl-C let the work at hand finish, then stop it; a second one kills it at once.

Examples:
  runqueue runner -- cat
  runqueue runner --tag gpu --slots 2 -- python agent.py --fast
  runqueue runner --profile second -- sh -c 'wc -w | tee words.txt'
`

export function runnerCommand(): Command {
  return new Command('runner')
    .summary('take runs from the queue and execute a command for each')
    .description('Takes runs from the queue and executes a command for each.')
    .usage('[options] -- <command...>')
    .argument('<command...>', 'the program and its arguments')
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(jsonOption())
    .option('--slots <count>', 'how many runs at a time', wholeNumber(1, SLOTS_MAX), 1)
    .option('--tag <tag>', 'what this runner offers; may be given more than once', collect)
    .option('--require-matching-tags', 'take only runs that demand one of the tags')
    .option('--executor-type <type>', 'the executor_type that runs may demand', 'shell')
    .option('--profile <name>', 'the executor_profile; tells like runners apart', 'default')
    .option('--hostname <name>', "the hostname that runs may demand (default: this machine's)")
    .option('--project-dir <path>', 'where runs without a directory work (default: here)')
    .option('--grace-seconds <seconds>', 'from SIGTERM to SIGKILL when stopped', seconds(0), 5)
    .option('--drain-seconds <seconds>', 'for work at hand when asked to leave', seconds(0), 30)
    .option(
      '--output-bytes <count>',
      'how much of the end of the output to keep',
      wholeNumber(1, OUTPUT_BYTES_MAX),
      64 * 1024,
    )
    .addHelpText('after', HELP)
    .action(async (command: [string, ...string[]], flags: RunnerFlags) => {
      await run(command, flags)
      // Requests that were left behind at the end must not hold the process.
      process.exit(EXIT.ok)
    })
}

async function run(command: [string, ...string[]], flags: RunnerFlags): Promise<void> {
  const runner = await start({
    url: flags.url,
    token: flags.token,
    command,
    slots: flags.slots,
    tags: flags.tag ?? [],
    require_matching_tags: flags.requireMatchingTags ?? false,
    executor_type: flags.executorType,
    profile: flags.profile,
    grace_seconds: flags.graceSeconds,
    drain_seconds: flags.drainSeconds,
    output_bytes: flags.outputBytes,
    ...defined({ hostname: flags.hostname, project_dir: flags.projectDir }),
    log: flags.json ? printJsonLine : printLine,
  })
  let asked = false
  const onSignal = (_name: string, number: number) => {
    if (asked) process.exit(128 + number)
    asked = true
    runner.drain()
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  // However this process ends, short of SIGKILL, its commands end with it.
  process.once('exit', () => runner.kill())
  await runner.drained
}

/** What it throws at once is about the command line. */
async function start(options: RunnerOptions): Promise<RunnerHandle> {
  // Loaded here, so that other commands do not wait for what carries out runs.
  const { startRunner } = await import('./runner.ts')
  try {
    return startRunner(options)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const printLine: Log = ({ message }) => {
  const time = new Date().toTimeString().slice(0, 8)
  process.stderr.write(`${time} ${printable(message)}\n`)
}

const printJsonLine: Log = (event) => {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`)
}
