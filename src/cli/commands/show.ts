import { Command } from 'commander'
import type { RunnerView, RunView } from '../../http/views.ts'
import type { Timestamp } from '../../queue/run.ts'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import type { Context } from '../context.ts'
import { clientOf, type ServerOptions } from '../options.ts'
import { printBlock, printFacts, printJson, styleStatus } from '../output.ts'
import { ending, hostOf, standing, vain } from '../run-words.ts'
import { absoluteAndRelative, oneLine } from '../text.ts'
import { printTimeline } from '../timeline.ts'

export function showCommand(context: Context): Command {
  return new Command('show')
    .summary('show all facts of a run')
    .description(
      'Shows all facts of a run: its prompt, its result or error, and what happened to it when.',
    )
    .argument('<run>', 'id of the run')
    .action((runId: string, options: ServerOptions) => show(context, runId, options))
}

async function show(context: Context, runId: string, options: ServerOptions): Promise<void> {
  const { stdout } = context
  const client = clientOf(context, options)
  const run = await client.getRun(runId)
  const { events } = await client.listRunEvents(runId, { limit: LIST_LIMIT })
  if (options.json) return printJson(stdout, { ...run, events })
  const { runners } = await client.listRunners()
  printFacts(stdout, facts(context, run, runners))
  const { prompt: _, ...parameters } = run.parameters
  if (run.prompt !== null) printBlock(stdout, 'Prompt', run.prompt)
  if (Object.keys(parameters).length > 0) printBlock(stdout, 'Parameters', json(parameters))
  if (run.error !== null) printBlock(stdout, 'Error', run.error)
  if (run.result?.text) printBlock(stdout, 'Result', run.result.text)
  if (run.result && run.result.data !== null) {
    printBlock(stdout, 'Result data', json(run.result.data))
  }
  printTimeline(stdout, events, runners)
}

function facts(context: Context, run: RunView, runners: RunnerView[]) {
  const { stdout, now } = context
  const time = (at: Timestamp | null) => at && absoluteAndRelative(at, now())
  const text = (value: string | null) => value && oneLine(value)
  const waiting = run.status === 'pending'
  const words = waiting ? standing(run, now()) : ending(run)
  const status = words.replace(run.status, styleStatus(stdout, run.status))
  const host = hostOf(run, runners)
  const facts: [title: string, value: string | null][] = [
    ['Run', run.run_id],
    ['Status', status],
    ['Waits', waiting ? text(vain(run, runners)) : null],
    ['Type', run.type],
    ['Session', text(run.session_id)],
    ['Parent', text(run.parent_session_id)],
    ['Mode', run.execution_mode],
    ['Agent', text(run.agent_name)],
    ['Directory', text(run.project_dir)],
    ['Demands', run.demands && demandsLine(run.demands)],
    [
      'Runner',
      run.runner_id && (host === run.runner_id ? host : text(`${run.runner_id} on ${host}`)),
    ],
    ['Priority', String(run.priority)],
    ['Attempt', `${run.attempt} of ${run.max_attempts}`],
    ['Retry delay', run.retry_delay_seconds === null ? null : `${run.retry_delay_seconds}s`],
    ['On lost', run.max_attempts > 1 ? run.on_lost : null],
    ['Created', time(run.created_at)],
    ['Claimed', time(run.claimed_at)],
    ['Started', time(run.started_at)],
    ['Ended', time(run.completed_at)],
    ['Available', time(run.available_at)],
    ['Times out', waiting ? time(run.timeout_at) : null],
  ]
  return facts
}

function demandsLine({ tags, ...properties }: NonNullable<RunView['demands']>): string {
  const words = Object.entries(properties).map(([property, value]) => `${property}=${value}`)
  return oneLine([...words, ...tags.map((tag) => `tag ${tag}`)].join(', '))
}

const json = (value: unknown): string => JSON.stringify(value, null, 2)
