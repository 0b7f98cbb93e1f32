import { Argument, Command } from 'commander'
import { completionScript, SHELLS, type Shell } from '../completion.ts'
import type { Context } from '../context.ts'

const HELP = `
For bash, in ~/.bashrc to keep it:
  source <(runqueue completion bash)
For zsh, and a new shell:
  runqueue completion zsh > "\${fpath[1]}/_runqueue"
`

export function completionCommand(context: Context): Command {
  return new Command('completion')
    .summary('print what lets the shell complete commands and options')
    .description('Prints a script for the shell.')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: Shell, _options: unknown, command: Command) => {
      const program = command.parent
      if (program) context.stdout.write(completionScript(program, shell))
    })
}
