import { Command, Option } from 'commander'
import { openEngine } from '../../engine.ts'
import { RECOVERY_MODES, type RecoveryMode } from '../../queue/recovery.ts'
import { addSeconds, timestamp } from '../../queue/time.ts'
import { recoverAll } from '../../upkeep/recovery.ts'
import type { Context } from '../context.ts'
import { type DatabaseOptions, databaseOption, jsonOption, seconds } from '../options.ts'
import { printJson } from '../output.ts'
import { configOf } from './serve.ts'

interface Options extends DatabaseOptions {
  mode: RecoveryMode
  threshold?: number
  dryRun?: true
  json?: true
}

export function recoverCommand(context: Context): Command {
  return new Command('recover')
    .summary('put in order the runs that a server left')
    .description(
      `Puts in order the runs that a server left behind: claimed ones are pending again, running ones
fail (or are pending again where their on_lost says so), stopping ones are stopped. It works on the
database itself, with or without a server on it; a server does the same when it starts.`,
    )
    .addOption(
      new Option('--mode <mode>', 'stale: those held for long by no living runner; all: every one')
        .choices(RECOVERY_MODES)
        .default('stale'),
    )
    .option(
      '--threshold <seconds>',
      'what counts as long (default: 300, env: RUN_RECOVERY_THRESHOLD)',
      seconds(0),
    )
    .option('--dry-run', 'only say what it would change')
    .addOption(databaseOption())
    .addOption(jsonOption())
    .action(async (options: Options) => {
      const config = configOf(options.database ? { database: options.database } : {})
      const engine = await openEngine({
        url: config.databaseUrl,
        matchTimeoutSeconds: config.noMatchTimeoutSeconds,
      })
      try {
        const now = timestamp(context.now())
        const recovered = await recoverAll(
          engine.runs,
          options.mode,
          {
            thresholdSeconds: options.threshold ?? config.recoveryThresholdSeconds,
            aliveSince: addSeconds(now, -config.staleThresholdSeconds),
            dryRun: options.dryRun ?? false,
          },
          now,
        )
        if (options.json) {
          printJson(context.stdout, { ...recovered, dry_run: options.dryRun ?? false })
          return
        }
        const would = options.dryRun ? 'would be ' : ''
        const { released, failed, stopped } = recovered
        context.stdout.write(
          `${would}pending again: ${released}, ${would}failed or retried: ${failed}, ${would}stopped: ${stopped}\n`,
        )
      } finally {
        await engine.close()
      }
    })
}
