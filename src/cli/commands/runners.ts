import { Command } from 'commander'
import type { RunnerView } from '../../http/views.ts'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import type { Context } from '../context.ts'
import { clientOf, type ServerOptions } from '../options.ts'
import { printJson, styleStatus } from '../output.ts'
import { type Column, printTable } from '../table.ts'
import { relative } from '../text.ts'

export function runnersCommand(context: Context): Command {
  return new Command('runners')
    .summary('list the registered runners')
    .description('Lists the registered runners, what they offer and when they were last seen.')
    .action(async (options: ServerOptions) => {
      const { stdout, stderr, now } = context
      const answer = await clientOf(context, options).listRunners()
      if (options.json) printJson(stdout, answer)
      else if (answer.runners.length === 0) stderr.write('no runner is registered\n')
      else printTable(stdout, columns(now()), answer.runners)
      if (answer.runners.length >= LIST_LIMIT) {
        stderr.write(`no more than the first ${LIST_LIMIT} are listed\n`)
      }
    })
}

const columns = (now: Date): Column<RunnerView>[] => [
  { title: 'RUNNER', value: (runner) => runner.runner_id },
  { title: 'STATUS', value: (runner) => runner.status, style: styleStatus },
  { title: 'SEEN', value: (runner) => relative(runner.last_heartbeat, now) },
  { title: 'HOST', value: (runner) => runner.hostname },
  { title: 'EXECUTOR', value: (runner) => runner.executor_profile ?? runner.executor_type },
  { title: 'TAGS', value: tags },
  { title: 'DIRECTORY', value: (runner) => runner.project_dir },
]

/** `only` marks runners that leave runs without their tags to others. */
const tags = ({ tags, require_matching_tags }: RunnerView): string =>
  `${require_matching_tags ? 'only ' : ''}${tags.join(',')}`
