import { Command, Option } from 'commander'
import type { RunListQuery, RunqueueClient } from '../../client/index.ts'
import type { RunView } from '../../http/views.ts'
import type { Context } from '../context.ts'
import { clientOf, defined, type ServerOptions, statuses, wholeNumber } from '../options.ts'
import { printJson, styleStatus } from '../output.ts'
import { standing } from '../run-words.ts'
import { type Column, printTable } from '../table.ts'
import { relative } from '../text.ts'

interface ListOptions extends ServerOptions {
  status?: string[]
  session?: string
  runner?: string
  limit: number
  all?: true
}

const PAGE_MAX = 1_000
/** `--all` ends here: what a person reads, and what fits into memory with prompts and results. */
const ALL_MAX = 10_000

export function listCommand(context: Context): Command {
  return new Command('list')
    .summary('list runs, newest first')
    .description('Lists runs, newest first.')
    .option('-s, --status <status>', 'only in this status (repeatable, or with commas)', statuses)
    .option('--session <id>', 'only of this session')
    .option('--runner <id>', 'only of this runner')
    .option('-n, --limit <n>', 'how many', wholeNumber(1, PAGE_MAX), 20)
    .addOption(new Option('-a, --all', `all of them, though at most ${ALL_MAX}`).conflicts('limit'))
    .action((options: ListOptions) => list(context, options))
}

async function list(context: Context, options: ListOptions): Promise<void> {
  const { stdout, stderr, now } = context
  const { status, session: session_id, runner: runner_id } = options
  const limit = options.all ? ALL_MAX : options.limit
  const query = defined({ status, session_id, runner_id })
  const { runs, next_cursor } = await pages(clientOf(context, options), limit, query)
  if (options.json) return printJson(stdout, { runs, next_cursor })
  if (runs.length === 0) return void stderr.write('no runs\n')
  printTable(stdout, columns(now()), runs)
  if (next_cursor === null) return
  const more = options.all ? 'there are more than --all shows' : '--limit and --all show more'
  if (stderr.isTty || options.all) stderr.write(`${stderr.style('dim', more)}\n`)
}

async function pages(client: RunqueueClient, limit: number, query: RunListQuery) {
  const runs: RunView[] = []
  let cursor: string | null = null
  do {
    const page = await client.listRuns({
      ...query,
      limit: Math.min(limit - runs.length, PAGE_MAX),
      ...(cursor !== null && { cursor }),
    })
    runs.push(...page.runs)
    cursor = page.runs.length > 0 ? (page.next_cursor ?? null) : null
  } while (cursor !== null && runs.length < limit)
  return { runs, next_cursor: cursor }
}

const columns = (now: Date): Column<RunView>[] => [
  { title: 'RUN', value: (run) => run.run_id },
  {
    title: 'STATUS',
    value: (run) => standing(run, now),
    style: (output, text) => text.replace(/^\w+/, (status) => styleStatus(output, status)),
  },
  { title: 'CREATED', value: (run) => relative(run.created_at, now) },
  { title: 'SESSION', value: (run) => run.session_id },
  { title: 'AGENT', value: (run) => run.agent_name },
  { title: 'PROMPT', value: (run) => run.prompt },
]
