import { Command, Option } from 'commander'
import type { AddRunRequest } from '../../client/index.ts'
import {
  EXECUTION_MODES,
  type ExecutionMode,
  type JsonObject,
  ON_LOST,
  type OnLost,
  type Timestamp,
} from '../../queue/run.ts'
import { RETRY_DELAY_SECONDS_MAX } from '../../queue/run-queue.ts'
import type { Context } from '../context.ts'
import { UsageError } from '../errors.ts'
import {
  clientOf,
  collect,
  type DemandedProperties,
  defined,
  demand,
  instant,
  jsonObject,
  parameter,
  type ServerOptions,
  seconds,
  wholeNumber,
} from '../options.ts'
import { printAdded } from '../output.ts'
import { readPrompt } from '../prompt.ts'
import { printOutcome, watchRun } from '../watch.ts'

/** The longest that a server accepts. */
const YEAR_SECONDS = 365 * 24 * 3600

interface AddOptions extends ServerOptions {
  file?: string
  param?: JsonObject
  parameters?: JsonObject
  scope?: JsonObject
  agent?: string
  projectDir?: string
  session?: string
  newSession?: string
  parent?: string
  executionMode?: ExecutionMode
  tag?: string[]
  demand?: DemandedProperties
  priority?: number
  delay?: number
  at?: Timestamp
  timeout?: number
  maxAttempts?: number
  retryDelay?: number
  onLost?: OnLost
  idempotencyKey?: string
  rejectIfUnmatchable?: true
  wait?: true
}

export function addCommand(context: Context): Command {
  return new Command('add')
    .summary('add a run; --wait follows it to its end')
    .description(
      'Adds a run and prints its id. With --wait: follows it, prints its result on stdout and exits with its outcome.',
    )
    .argument('[prompt]', 'what to do; - reads it from standard input')
    .option('-w, --wait', 'follow the run to its end and print its result')
    .optionsGroup('What to do:')
    .option('-f, --file <file>', 'read the prompt from a file')
    .option('--param <key=value>', 'a parameter, its value JSON or text (repeatable)', parameter)
    .option('--parameters <json>', 'several parameters as a JSON object', jsonObject)
    .option('--agent <name>', 'the agent that is to do it')
    .option('--project-dir <dir>', 'the directory to work in, on the runner')
    .option('--scope <json>', 'context for tools, a JSON object', jsonObject)
    .optionsGroup('In which session:')
    .addOption(
      new Option('--session <id>', 'resume this session; without it a new one starts').conflicts(
        'newSession',
      ),
    )
    .option('--new-session <id>', 'start a session with this id')
    .option('--parent <session>', 'the session this one is a child of')
    .addOption(
      new Option(
        '--execution-mode <mode>',
        'how the parent learns of the end: async_callback has it told by a run of its own (default: sync)',
      ).choices(EXECUTION_MODES),
    )
    .optionsGroup('On which runner, and when:')
    .option('-t, --tag <tag>', 'only runners with this tag (repeatable)', collect)
    .option(
      '-d, --demand <property=value>',
      'only runners whose hostname, project_dir, executor_type or executor_profile is this (repeatable)',
      demand,
    )
    .option(
      '-p, --priority <n>',
      'higher goes first (default: 0)',
      wholeNumber(-1_000_000, 1_000_000),
    )
    .addOption(
      new Option('--delay <seconds>', 'not before so many seconds have passed')
        .argParser(seconds(0, YEAR_SECONDS))
        .conflicts('at'),
    )
    .option('--at <time>', 'not before this time, in ISO form with its zone', instant)
    .option(
      '--timeout <seconds>',
      'fail it when no runner that meets its demands takes it in time',
      seconds(0.001, YEAR_SECONDS),
    )
    .option('--reject-if-unmatchable', 'refuse it when no runner that is online could take it now')
    .option('--idempotency-key <key>', 'add it once, however often this is repeated')
    .optionsGroup('When it fails:')
    .option('--max-attempts <n>', 'how often it may be started (default: 1)', wholeNumber(1, 100))
    .option(
      '--retry-delay <seconds>',
      'what the first retry waits; each further one waits twice as long (default: 0)',
      seconds(0, RETRY_DELAY_SECONDS_MAX),
    )
    .addOption(
      new Option(
        '--on-lost <what>',
        'when its runner is lost, which may be at it still: fail, or requeue while attempts are left (default: fail)',
      ).choices(ON_LOST),
    )
    .optionsGroup('Server:')
    .action((prompt: string | undefined, options: AddOptions) => add(context, prompt, options))
}

async function add(context: Context, prompt: string | undefined, options: AddOptions) {
  const { stderr } = context
  const client = clientOf(context, options)
  const added = await client.addRun(await request(context, prompt, options))
  if (!options.wait) {
    printAdded(context, added, options)
    return
  }
  stderr.write(`${added.run_id} added, session ${added.session_id}\n`)
  const run = await client.getRun(added.run_id)
  printOutcome(context, await watchRun(context, client, run), options.json === true)
}

async function request(
  context: Context,
  argument: string | undefined,
  options: AddOptions,
): Promise<AddRunRequest> {
  const prompt = await readPrompt(context, argument, options.file)
  const { session, newSession, tag, demand } = options
  return {
    type: session === undefined ? 'start_session' : 'resume_session',
    ...content(prompt, options),
    ...defined({
      session_id: session ?? newSession,
      agent_name: options.agent,
      project_dir: options.projectDir,
      parent_session_id: options.parent,
      execution_mode: options.executionMode,
      additional_demands: (tag || demand) && { ...demand, tags: tag ?? [] },
      scope: options.scope,
      priority: options.priority,
      max_attempts: options.maxAttempts,
      retry_delay_seconds: options.retryDelay,
      on_lost: options.onLost,
      available_at: options.at,
      delay_seconds: options.delay,
      timeout_seconds: options.timeout,
      idempotency_key: options.idempotencyKey,
      reject_if_unmatchable: options.rejectIfUnmatchable,
    }),
  }
}

/** `prompt` alone is short for parameters that hold nothing else. */
function content(
  prompt: string | null,
  options: AddOptions,
): Pick<AddRunRequest, 'prompt' | 'parameters'> {
  const { param, parameters } = options
  if (param === undefined && parameters === undefined) {
    if (prompt !== null) return { prompt }
    throw new UsageError('say what to do: as an argument, with --file, or with - on standard input')
  }
  const named = { ...parameters, ...param }
  if (prompt === null) return { parameters: named }
  if (Object.hasOwn(named, 'prompt')) {
    throw new UsageError('the prompt is given twice: by itself and among the parameters')
  }
  return { parameters: { ...named, prompt } }
}
