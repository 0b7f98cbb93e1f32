import { Command } from 'commander'
import type { Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { clientOf, type ServerOptions, seconds } from '../options.ts'
import { printOutcome, watchRun } from '../watch.ts'

interface WaitOptions extends ServerOptions {
  timeout?: number
}

export function waitCommand(context: Context): Command {
  return new Command('wait')
    .summary('follow a run to its end')
    .description(
      'Follows a run to its end, prints its result on stdout and exits with its outcome.',
    )
    .argument('<run>', 'id of the run')
    .option(
      '--timeout <seconds>',
      `give up waiting after this long, with exit code ${EXIT.waitedOut}`,
      seconds(0),
    )
    .action((runId: string, options: WaitOptions) => wait(context, runId, options))
}

async function wait(context: Context, runId: string, options: WaitOptions): Promise<void> {
  const client = clientOf(context, options)
  const first = await client.getRun(runId)
  const run = await watchRun(context, client, first, { timeoutSeconds: options.timeout })
  printOutcome(context, run, options.json === true)
}
