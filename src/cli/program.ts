/** The command line as a whole: which commands there are, in groups, and what all have in common. */
import { Command } from 'commander'
import { loadCommand } from '../load/command.ts'
import { runnerCommand } from '../runner/command.ts'
import { version } from '../version.ts'
import { addCommand } from './commands/add.ts'
import { backupCommand } from './commands/backup.ts'
import { completionCommand } from './commands/completion.ts'
import { copyCommand } from './commands/copy.ts'
import { explainCommand } from './commands/explain.ts'
import { listCommand } from './commands/list.ts'
import { pruneCommand } from './commands/prune.ts'
import { recoverCommand } from './commands/recover.ts'
import { retryCommand } from './commands/retry.ts'
import { runnersCommand } from './commands/runners.ts'
import { serveCommand } from './commands/serve.ts'
import { sessionsCommand } from './commands/sessions.ts'
import { showCommand } from './commands/show.ts'
import { stopCommand } from './commands/stop.ts'
import { tokenCommand } from './commands/token.ts'
import { waitCommand } from './commands/wait.ts'
import type { Context } from './context.ts'
import { HELP_HINT, reportError, styleError } from './errors.ts'
import { EXIT_CODES_HELP, type ExitCode } from './exit-codes.ts'
import { jsonOption, tokenOption, urlOption, urlOptionOfProgram } from './options.ts'

/** Ask a server, so they all take --url, --token and --json. */
const ASKING = {
  'Work:': [addCommand, listCommand, showCommand, waitCommand, stopCommand, retryCommand],
  'Look:': [explainCommand, runnersCommand, sessionsCommand],
}

/** Run something here. */
const OPERATING = [
  serveCommand,
  runnerCommand,
  tokenCommand,
  recoverCommand,
  pruneCommand,
  backupCommand,
  copyCommand,
  loadCommand,
  completionCommand,
]

const EXAMPLES = `Examples:
  runqueue add "summarise the README" --wait
  git diff | runqueue add - --tag gpu --priority 5
  runqueue add --file task.md --demand hostname=build-7 --timeout 600
  runqueue list --status pending,running
  runqueue wait "$(runqueue add 'run the tests')" --timeout 900
`

/** @returns the exit code; the program may go on after that, as a server does. */
export async function runProgram(context: Context, args: string[]): Promise<ExitCode> {
  try {
    await createProgram(context).parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' })
    return context.exitCode
  } catch (error) {
    return reportError(context, error)
  }
}

function createProgram(context: Context): Command {
  const { stdout, stderr } = context
  const program = new Command('runqueue')
    .description('Adds runs to a queue, follows them, and operates the queue.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .addOption(urlOptionOfProgram())
    .addOption(jsonOption())
    // So that --url and --json after a subcommand are the subcommand's own.
    .enablePositionalOptions()
    .showHelpAfterError(HELP_HINT)
    .exitOverride()
    .configureHelp({
      styleTitle: (title) => stdout.style('bold', title),
      subcommandTerm: usageOf,
    })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(styleError(stderr, text)),
      getOutHelpWidth: () => helpWidth(stdout.columns),
      getErrHelpWidth: () => helpWidth(stderr.columns),
      // Styles are off already where nobody sees colours.
      getOutHasColors: () => true,
      getErrHasColors: () => true,
    })
    .addHelpText('after', `\n${EXAMPLES}\nExit codes:\n${EXIT_CODES_HELP}`)
  for (const [group, commands] of Object.entries(ASKING)) {
    for (const command of commands) {
      const asking = command(context).addOption(jsonOption()).addOption(urlOption())
      mount(program, group, asking.addOption(tokenOption()))
    }
  }
  for (const command of OPERATING) mount(program, 'Operate:', command(context))
  program.commandsGroup('Help:').helpCommand('help [command]', 'print help of a command')
  program.hook('preAction', (_, command) => handDown(program, command))
  return program
}

function mount(program: Command, group: string, command: Command): void {
  program.addCommand(command.copyInheritedSettings(program).helpGroup(group))
  for (const below of command.commands) below.copyInheritedSettings(command)
}

/** Options given before the subcommand count like those after it, which win. */
function handDown(program: Command, command: Command): void {
  for (const name of ['url', 'json']) {
    const given = program.getOptionValueSource(name) === 'cli'
    if (given && command.getOptionValueSource(name) !== 'cli') {
      command.setOptionValueWithSource(name, program.getOptionValue(name), 'cli')
    }
  }
}

/** A command with its arguments, but not the "[options]" that all of them take. */
function usageOf(command: Command): string {
  const { registeredArguments } = command
  return [
    command.name(),
    ...registeredArguments.map((each) => (each.required ? `<${each.name()}>` : `[${each.name()}]`)),
  ].join(' ')
}

const helpWidth = (columns: number | undefined): number => Math.min(columns ?? 80, 100)
