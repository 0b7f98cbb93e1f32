import { Command } from 'commander'
import { openEngine } from '../../engine.ts'
import { addSeconds, timestamp } from '../../queue/time.ts'
import { type Deleted, pruneAll } from '../../upkeep/retention.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../errors.ts'
import { type DatabaseOptions, databaseOption, duration, jsonOption } from '../options.ts'
import { printJson } from '../output.ts'
import { statusLine } from '../status-line.ts'
import { bytesText } from '../text.ts'
import { configOf } from './serve.ts'

interface Options extends DatabaseOptions {
  olderThan?: number
  dryRun?: true
  json?: true
}

export function pruneCommand(context: Context): Command {
  return new Command('prune')
    .summary('delete runs that finished long ago')
    .description(
      `Deletes runs that finished long ago, with their sessions, and gives the room back to the file
system. A session that somebody may go on with (idle, say) keeps its newest run. It works on the
database itself, with or without servers on it; a server does the same as time passes.`,
    )
    .option(
      '--older-than <time>',
      'since their end: 90s, 15m, 12h, 7d (default: 7d, env: RUN_RETENTION)',
      duration,
    )
    .option('--dry-run', 'only say what it would delete')
    .addOption(databaseOption())
    .addOption(jsonOption())
    .action(async (options: Options) => {
      const config = configOf(options.database ? { database: options.database } : {})
      const seconds = options.olderThan ?? config.retentionSeconds
      if (seconds === null) {
        throw new UsageError('RUN_RETENTION is off: say with --older-than what is to go')
      }
      const dryRun = options.dryRun ?? false
      const before = addSeconds(timestamp(context.now()), -seconds)
      const pruned = await prune(context, { url: config.databaseUrl, before, dryRun })
      if (options.json) {
        printJson(context.stdout, { ...pruned, before, dry_run: dryRun })
        return
      }
      const { runs, sessions, bytes } = pruned
      context.stdout.write(
        dryRun
          ? `would delete: ${runs} runs, ${sessions} sessions\n`
          : `deleted: ${runs} runs, ${sessions} sessions; given back: ${bytesText(bytes)}\n`,
      )
    })
}

async function prune(
  context: Context,
  { url, ...what }: { url: string; before: string; dryRun: boolean },
): Promise<Deleted> {
  const engine = await openEngine({ url, existing: true })
  const progress = statusLine(context.stderr, 'prune', context.now)
  const show = rarely(({ runs, bytes }: Deleted) => {
    const words = `${what.dryRun ? 'found' : 'deleted'} ${runs} runs`
    const hint = bytes > 0 ? `gave back ${bytesText(bytes)}` : null
    progress.show({ words, since: null, hint })
  })
  try {
    const { signal } = new AbortController()
    return await pruneAll(engine, { ...what, signal, onProgress: show })
  } finally {
    progress.clear()
    await engine.close()
  }
}

/** Once a second: a log is not to be flooded. */
function rarely(show: (deleted: Deleted) => void): (deleted: Deleted) => void {
  let last = performance.now()
  return (deleted) => {
    if (performance.now() - last < 1000) return
    last = performance.now()
    show(deleted)
  }
}
