import { Command } from 'commander'
import { existingFile } from '../../engine.ts'
import type { Backup, Progress } from '../../sqlite/backup.ts'
import type { Context } from '../context.ts'
import { Interrupted } from '../errors.ts'
import { type DatabaseOptions, databaseOption, jsonOption } from '../options.ts'
import { printJson } from '../output.ts'
import { statusLine } from '../status-line.ts'
import { bytesText } from '../text.ts'
import { configOf } from './serve.ts'

interface Options extends DatabaseOptions {
  force?: true
  json?: true
}

const USE_PG_DUMP =
  'backup copies a SQLite file. For a PostgreSQL database there is pg_dump: pg_dump --schema=runqueue …'

export function backupCommand(context: Context): Command {
  return new Command('backup')
    .summary('copy the database while servers use it')
    .description(
      `Copies the database to FILE, with or without servers at work on it: the queue as it was at one
moment, all that was acknowledged before included. FILE appears when the copy is complete, checked
and on the disk; until then it is FILE.partial.

To restore it: stop the servers, put FILE in place of the database, remove the files beside that
which end in -wal and -shm, start a server.`,
    )
    .argument('<file>', 'where the copy goes')
    .option('--force', 'overwrite FILE')
    .addOption(databaseOption())
    .addOption(jsonOption())
    .action(async (file: string, options: Options) => {
      const config = configOf(options.database ? { database: options.database } : {})
      const source = await existingFile(config.databaseUrl, USE_PG_DUMP)
      const made = await watched(context, { source, target: file, force: options.force ?? false })
      if (options.json) {
        printJson(context.stdout, made)
        return
      }
      const { path, bytes, runs, sessions, runners } = made
      context.stdout.write(
        `${path}: ${bytesText(bytes)}, checked; ${runs} runs, ${sessions} sessions, ${runners} ${runners === 1 ? 'runner' : 'runners'}\n`,
      )
    })
}

async function watched(
  context: Context,
  what: { source: string; target: string; force: boolean },
): Promise<Backup> {
  const progress = statusLine(context.stderr, 'backup', context.now)
  const interrupt = new AbortController()
  const unwatch = context.onInterrupt(() => interrupt.abort())
  const { backup } = await import('../../sqlite/backup.ts')
  try {
    return await backup({
      ...what,
      signal: interrupt.signal,
      onProgress: (made) => progress.show({ words: words(made), since: null, hint: null }),
    })
  } catch (error) {
    if (interrupt.signal.aborted) throw new Interrupted('interrupted: no backup was made')
    throw error
  } finally {
    unwatch()
    progress.clear()
  }
}

function words({ what, bytes, total }: Progress): string {
  if (what === 'checking') return 'checks the copy'
  const tenths = Math.min(10, Math.floor((bytes / total) * 10))
  return `copies ${bytesText(total)}: ${tenths * 10} %`
}
