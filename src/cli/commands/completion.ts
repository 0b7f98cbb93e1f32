import { Argument, Command } from 'commander'
import { completionScript, SHELLS, type Shell } from '../completion.ts'
import type { Context } from '../context.ts'

export function completionCommand(context: Context): Command {
  return new Command('completion')
    .summary('print what lets the shell complete commands and options')
    .description(
      `Prints a script for the shell. For bash: source <(runqueue completion bash), in ~/.bashrc to
keep it. For zsh: runqueue completion zsh > "\${fpath[1]}/_runqueue", and a new shell.`,
    )
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action((shell: Shell, _options: unknown, command: Command) => {
      const program = command.parent
      if (program) context.stdout.write(completionScript(program, shell))
    })
}
