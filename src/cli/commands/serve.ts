import { Command, Option } from 'commander'
import { type Config, ConfigError, LOG_LEVELS, parseConfig } from '../../config.ts'
import { shownUrl } from '../../engine.ts'
import type { RunningServer } from '../../main.ts'
import { DURABILITIES } from '../../queue/engine.ts'
import { RECOVERY_MODES } from '../../queue/recovery.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { databaseOption } from '../options.ts'

/** Each flag stands for the environment variable of that name, and wins over it. */
const VARIABLES = {
  host: 'HOST',
  port: 'PORT',
  database: 'DATABASE_URL',
  durability: 'DURABILITY',
  recovery: 'RUN_RECOVERY_MODE',
  retention: 'RUN_RETENTION',
  maxPending: 'RUN_MAX_PENDING',
  logLevel: 'LOG_LEVEL',
} as const
type Flags = { [flag in keyof typeof VARIABLES]?: string }

const HELP = `
Settings without a flag come from the environment: RUNNER_POLL_TIMEOUT, RUNNER_HEARTBEAT_INTERVAL,
RUNNER_STALE_THRESHOLD, RUNNER_REMOVE_THRESHOLD, RUNNER_LIFECYCLE_INTERVAL, RUN_NO_MATCH_TIMEOUT,
RUN_CLAIM_TIMEOUT, RUN_SWEEP_INTERVAL, RUN_RECOVERY_THRESHOLD (all in seconds), RUN_RATE_LIMIT (runs
a second for each token), RUN_RATE_BURST, HTTP_MAX_CONNECTIONS, HTTP_MAX_WAITING and CORS_ORIGINS.

As long as \`runqueue token create\` has made no token, it answers every program on this machine and
refuses to listen for others.

SIGTERM and Ctrl-C end it in order: waiting polls are answered, requests at hand finish; a second
one ends it at once. Nothing is lost either way.
`

const OPEN =
  'no token yet: every program on this machine may call; `runqueue token create` ends that\n'

export function serveCommand(context: Context): Command {
  return new Command('serve')
    .summary('start a server')
    .description(
      'Starts a server on a database file, which it makes where there is none, or on PostgreSQL.',
    )
    .addOption(new Option('--host <address>', 'where to listen (default: 127.0.0.1, env: HOST)'))
    .addOption(new Option('--port <port>', '0 picks a free one (default: 8765, env: PORT)'))
    .addOption(databaseOption())
    .addOption(
      new Option(
        '--durability <mode>',
        'what a commit waits for: full, the disk; normal, where a power cut may take the last moments (default: full, env: DURABILITY)',
      ).choices(DURABILITIES),
    )
    .addOption(
      new Option(
        '--recovery <mode>',
        'what becomes of runs that an earlier server left (default: stale, env: RUN_RECOVERY_MODE)',
      ).choices(RECOVERY_MODES),
    )
    .addOption(
      new Option(
        '--max-pending <n>',
        'with so many runs pending, refuse to take more (default: however many, env: RUN_MAX_PENDING)',
      ),
    )
    .addOption(
      new Option(
        '--retention <time>',
        'how long finished runs are kept: 90s, 15m, 12h, 7d, or off (default: 7d, env: RUN_RETENTION)',
      ),
    )
    .addOption(
      new Option('--log-level <level>', '(default: info, env: LOG_LEVEL)').choices(LOG_LEVELS),
    )
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      const config = configOf(flags)
      // Loaded here, so that commands which only ask a server do not wait for all that one is made of.
      const { startServer } = await import('../../main.ts')
      const { createLog } = await import('../log.ts')
      const log = await createLog(config.logLevel)
      const starting = startServer(config, log)
      const left = leftOnSignal(context, starting)
      const server = await starting
      context.stdout.write(
        `runqueue listens on ${server.url} (database: ${shownUrl(config.databaseUrl)})\n`,
      )
      // To a person; a service manager keeps all that it gets, at each start.
      if (context.stdout.isTty) context.stdout.write(firstSteps(server))
      if (server.isOpen) context.stderr.write(OPEN)
      await left
    })
}

/** @throws UsageError that names every mistake */
export function configOf(flags: Flags): Config {
  const given = Object.entries(VARIABLES).flatMap(([flag, variable]) => {
    const value = flags[flag as keyof Flags]
    return value === undefined ? [] : [[variable, value]]
  })
  try {
    return parseConfig({ ...process.env, ...Object.fromEntries(given) })
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message)
    throw error
  }
}

function firstSteps({ url, isOpen }: RunningServer): string {
  const elsewhere = url === 'http://127.0.0.1:8765' ? '' : ` --url ${url}`
  return `
In a second terminal, start a runner that hands each prompt to a command:
  npx runqueue runner${elsewhere} -- sh -c 'read name; echo "hello $name"'
In a third, give it work:
  npx runqueue add${elsewhere} --wait world
${isOpen ? '' : 'Both need a token in RUNQUEUE_TOKEN; `npx runqueue token --help` tells of them.\n'}
`
}

/**
 * Listened for from before the server is: whoever reads that it is there may ask it to go at once.
 * While it starts there is nothing to finish.
 */
function leftOnSignal(context: Context, starting: Promise<RunningServer>): Promise<void> {
  let server: RunningServer | undefined
  starting.then(
    (started) => {
      server = started
    },
    // Told by who waits for it to start.
    () => {},
  )
  return new Promise<void>((resolve, reject) => {
    const leave = (signal: NodeJS.Signals) => {
      if (!server) process.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.ok)
      context.stderr.write(`${signal}: finishing requests; a second signal ends at once\n`)
      process.once('SIGTERM', () => process.exit(EXIT.failed))
      process.once('SIGINT', () => process.exit(EXIT.interrupted))
      server.close().then(resolve, reject)
    }
    process.once('SIGTERM', leave)
    process.once('SIGINT', leave)
  })
}
