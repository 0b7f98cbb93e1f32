import { Command } from 'commander'
import type { Context } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { clientOf, type ServerOptions } from '../options.ts'
import { printJson, printLine } from '../output.ts'
import { printOutcome, watchRun } from '../watch.ts'

interface StopOptions extends ServerOptions {
  wait?: true
}

export function stopCommand(context: Context): Command {
  return new Command('stop')
    .summary('stop a run')
    .description(
      'Stops a run: at once while it is pending, through its runner otherwise. With --wait it exits with 0 once the run has ended, however it ended.',
    )
    .argument('<run>', 'id of the run')
    .option('-w, --wait', 'wait until the run has ended')
    .action((runId: string, options: StopOptions) => stop(context, runId, options))
}

async function stop(context: Context, runId: string, options: StopOptions): Promise<void> {
  const { stdout } = context
  const client = clientOf(context, options)
  const answer = await client.stopRun(runId)
  if (options.wait) {
    const run = await watchRun(context, client, await client.getRun(runId))
    printOutcome(context, run, options.json === true)
    context.exitCode = EXIT.ok
  } else if (options.json) {
    printJson(stdout, answer)
  } else {
    const said = answer.message === undefined ? '' : `: ${answer.message}`
    printLine(stdout, `${answer.run_id} ${answer.status}${said}`)
  }
}
