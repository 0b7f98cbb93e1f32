import { Command } from 'commander'
import type { Context } from '../context.ts'
import { clientOf, type ServerOptions } from '../options.ts'
import { printAdded } from '../output.ts'

export function retryCommand(context: Context): Command {
  return new Command('retry')
    .summary('add a failed or stopped run again')
    .description('Adds a failed or stopped run again, as a new run, and prints its id.')
    .argument('<run>', 'id of the run')
    .action(async (runId: string, options: ServerOptions) => {
      const added = await clientOf(context, options).retryRun(runId)
      printAdded(context, added, options)
    })
}
