import { Command } from 'commander'
import type { Session } from '../../queue/session.ts'
import type { Context } from '../context.ts'
import { clientOf, type ServerOptions, wholeNumber } from '../options.ts'
import { printJson, styleStatus } from '../output.ts'
import { type Column, printTable } from '../table.ts'
import { relative } from '../text.ts'

interface SessionsOptions extends ServerOptions {
  limit: number
}

export function sessionsCommand(context: Context): Command {
  return new Command('sessions')
    .summary('list sessions, newest first')
    .description('Lists sessions, newest first.')
    .option('-n, --limit <n>', 'how many', wholeNumber(1, 1_000), 20)
    .action(async (options: SessionsOptions) => {
      const { stdout, stderr, now } = context
      const answer = await clientOf(context, options).listSessions({ limit: options.limit })
      if (options.json) return printJson(stdout, answer)
      if (answer.sessions.length === 0) return void stderr.write('no sessions\n')
      printTable(stdout, columns(now()), answer.sessions)
      if (answer.next_cursor !== null && stderr.isTty) {
        stderr.write(`${stderr.style('dim', '--limit shows more')}\n`)
      }
    })
}

const columns = (now: Date): Column<Session>[] => [
  { title: 'SESSION', value: (session) => session.session_id },
  { title: 'STATUS', value: (session) => session.status, style: styleStatus },
  { title: 'CREATED', value: (session) => relative(session.created_at, now) },
  { title: 'AGENT', value: (session) => session.agent_name },
  { title: 'HOST', value: (session) => session.hostname },
  { title: 'DIRECTORY', value: (session) => session.project_dir },
]
