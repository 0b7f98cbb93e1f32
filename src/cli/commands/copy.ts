import { Command } from 'commander'
import { type Copied, copyQueue } from '../../copy.ts'
import { openTables } from '../../engine.ts'
import { COPIED_TABLES } from '../../queue/tables.ts'
import type { Context } from '../context.ts'
import { Interrupted } from '../errors.ts'
import { jsonOption } from '../options.ts'
import { printJson } from '../output.ts'
import { statusLine } from '../status-line.ts'
import { configOf } from './serve.ts'

export function copyCommand(context: Context): Command {
  return new Command('copy')
    .summary('copy the queue to another database, or another kind of one')
    .description(
      `Copies all sessions, runs, events, runners and tokens from one database to another: from a SQLite
file to PostgreSQL, back, or between two of a kind. Stop the servers on both first. A copy that was
interrupted goes on where it ended; at the end the rows of both are counted and must be as many.`,
    )
    .argument('<from>', 'file:./data/runqueue.db, postgres://user:password@host:5432/database')
    .argument('<to>', 'the same; it must be empty, or hold the beginning of this copy')
    .addOption(jsonOption())
    .action(async (from: string, to: string, options: { json?: true }) => {
      const urls = [from, to].map((database) => configOf({ database }).databaseUrl)
      const copied = await copy(context, urls[0] ?? from, urls[1] ?? to)
      if (options.json) {
        printJson(context.stdout, copied)
        return
      }
      const counts = COPIED_TABLES.map((table) => `${table.replace('_', ' ')} ${copied[table]}`)
      context.stdout.write(`copied and counted: ${counts.join(', ')}\n`)
    })
}

async function copy(context: Context, from: string, to: string): Promise<Copied> {
  const source = await openTables(from, true)
  const interrupt = new AbortController()
  const unwatch = context.onInterrupt(() => interrupt.abort())
  const progress = statusLine(context.stderr, 'copy', context.now)
  try {
    const target = await openTables(to, false)
    try {
      const copied = await copyQueue(source, target, {
        signal: interrupt.signal,
        onProgress: (table, done, total) =>
          progress.show({ words: words(table, done, total), since: null, hint: null }),
      })
      if (!interrupt.signal.aborted) return copied
      throw new Interrupted('interrupted: the same command goes on where this one ended')
    } finally {
      await target.close()
    }
  } finally {
    unwatch()
    progress.clear()
    await source.close()
  }
}

/** In steps, so that a log is not flooded. */
function words(table: string, done: number, total: number): string {
  const tenths = total === 0 ? 10 : Math.min(10, Math.floor((done / total) * 10))
  return `${table.replace('_', ' ')}, ${total} rows: ${tenths * 10} %`
}
