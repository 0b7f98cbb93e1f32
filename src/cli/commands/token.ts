/** `runqueue token`: works on the database itself, so that the first token needs none. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { openEngine } from '../../engine.ts'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import { addSeconds, parseDuration, parseTimestamp, timestamp } from '../../queue/time.ts'
import {
  newToken,
  newTokenId,
  TOKEN_ROLES,
  type Token,
  type TokenRole,
  tokenHash,
  tokenState,
} from '../../queue/token.ts'
import type { Tokens } from '../../queue/tokens.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../errors.ts'
import { type DatabaseOptions, databaseOption, jsonOption } from '../options.ts'
import { printJson, styleStatus } from '../output.ts'
import { type Column, printTable } from '../table.ts'
import { oneLine, relative } from '../text.ts'
import { configOf } from './serve.ts'

interface CommonOptions extends DatabaseOptions {
  json?: true
}

interface CreateOptions extends CommonOptions {
  role: TokenRole
  name: string
  expires?: Expiry
}

/** Seconds from now on, or an instant. */
type Expiry = { seconds: number } | { at: string }

const ROLES_HELP = `
Roles:
  client  runs and sessions
  runner  register, claim, and report on what its own runners hold
  admin   everything

From the first token on, every request needs one. Each command that asks a server takes it in
RUNQUEUE_TOKEN or with --token:
  export RUNQUEUE_TOKEN="$(runqueue token create --role client --name ci --expires 90d)"
`

export function tokenCommand(context: Context): Command {
  const command = new Command('token')
    .summary('make, list and revoke tokens')
    .description(
      'Makes, lists and revokes the tokens that say who may call. It works on the database itself, with or without a server on it.',
    )
    .addHelpText('after', ROLES_HELP)
  for (const make of [createCommand, listCommand, revokeCommand]) {
    command.addCommand(make(context).addOption(databaseOption()).addOption(jsonOption()))
  }
  return command
}

const createCommand = (context: Context): Command =>
  new Command('create')
    .summary('make a token and print it, this once')
    .description('Makes a token and prints it on stdout; it is not kept and cannot be shown again.')
    .addOption(
      new Option('--role <role>', 'what it may do').choices(TOKEN_ROLES).makeOptionMandatory(),
    )
    .addOption(
      new Option('--name <name>', 'who or what it is for')
        .argParser(tokenName)
        .makeOptionMandatory(),
    )
    .option('--expires <when>', 'after 90d, 12h or 30m, or at an ISO time (default: never)', expiry)
    .addHelpText('after', ROLES_HELP)
    .action(async (options: CreateOptions) => {
      const now = timestamp(context.now())
      const expires_at = expiresAt(options.expires, now)
      const token = newToken()
      const { role, name } = options
      const made = await withTokens(options, (tokens) =>
        tokens.create(
          { token_id: newTokenId(), name, role, token_hash: tokenHash(token), expires_at },
          now,
        ),
      )
      if (options.json) {
        printJson(context.stdout, { token, ...made })
        return
      }
      context.stdout.write(`${token}\n`)
      context.stderr.write(
        `${made.token_id}: ${role} token '${oneLine(name)}', ${expires_at === null ? 'without end' : `until ${expires_at}`}; keep it, it is not shown again\n`,
      )
    })

const listCommand = (context: Context): Command =>
  new Command('list')
    .summary('list the tokens')
    .description('Lists the tokens, newest first: who they are for, and whether they can be used.')
    .action(async (options: CommonOptions) => {
      const tokens = await withTokens(options, (all) => all.list(LIST_LIMIT))
      if (options.json) printJson(context.stdout, { tokens })
      else if (tokens.length === 0) context.stderr.write('there is no token\n')
      else printTable(context.stdout, columns(context.now()), tokens)
    })

const revokeCommand = (context: Context): Command =>
  new Command('revoke')
    .summary('make a token useless, at once')
    .description('Revokes a token: the next request with it is refused, by every server.')
    .argument('<token>', 'its id, or its name if no other has it')
    .action(async (id_or_name: string, options: CommonOptions) => {
      const now = timestamp(context.now())
      const revoked = await withTokens(options, (tokens) => tokens.revoke(id_or_name, now))
      if (options.json) printJson(context.stdout, revoked)
      else context.stdout.write(`${revoked.token_id} '${oneLine(revoked.name)}' is revoked\n`)
    })

async function withTokens<T>(
  { database }: DatabaseOptions,
  work: (tokens: Tokens) => Promise<T>,
): Promise<T> {
  const { databaseUrl } = configOf(database ? { database } : {})
  const engine = await openEngine({ url: databaseUrl })
  try {
    return await work(engine.tokens)
  } finally {
    await engine.close()
  }
}

const columns = (now: Date): Column<Token>[] => [
  { title: 'TOKEN', value: ({ token_id }) => token_id },
  { title: 'ROLE', value: ({ role }) => role },
  { title: 'STATUS', value: (token) => tokenState(token, timestamp(now)), style: styleStatus },
  { title: 'MADE', value: ({ created_at }) => relative(created_at, now) },
  { title: 'EXPIRES', value: ({ expires_at }) => expires_at },
  { title: 'NAME', value: ({ name }) => name },
]

function tokenName(text: string): string {
  if (/^\P{Cc}{1,200}$/u.test(text)) return text
  throw new InvalidArgumentError('It must have 1 to 200 characters and no line breaks.')
}

function expiry(text: string): Expiry {
  const seconds = parseDuration(text) ?? 0
  if (seconds > 0 && seconds <= EXPIRY_SECONDS_MAX) return { seconds }
  const at = parseTimestamp(/^[\d-]+$/.test(text) ? `${text}T00:00Z` : text)
  if (at !== null) return { at }
  throw new InvalidArgumentError(
    'It must be a time like 90d, 12h or 30m, at most 3650d, or like 2027-01-31 or 2027-01-31T12:00:00Z.',
  )
}

const EXPIRY_SECONDS_MAX = 3650 * 24 * 3600

function expiresAt(expires: Expiry | undefined, now: string): string | null {
  if (expires === undefined) return null
  if ('seconds' in expires) return addSeconds(now, expires.seconds)
  if (expires.at > now) return expires.at
  throw new UsageError(`--expires: ${expires.at} is over already`)
}
