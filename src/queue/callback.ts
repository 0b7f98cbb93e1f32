/** What a parent is told when its children end (execution_mode `async_callback`). */
import { callbackRunId } from './ids.ts'
import { isTerminal, type Run, type Timestamp } from './run.ts'

/** How a child ended, as its parent is told: a stopped or orphaned one counts as failed. */
export const CALLBACK_STATUSES = ['completed', 'failed'] as const

/** How a child ended, as it waits until its parent has time: the triggers write it. */
export interface ChildOutcome {
  child_session_id: string
  child_run_id: string
  status: (typeof CALLBACK_STATUSES)[number]
  /** The child's result or error; empty where there is none. */
  text: string
  /** The trace context of the child's run; null where it had none, or is gone. */
  traceparent: string | null
}

/** What one run tells its parent at most: so many outcomes, … */
export const CALLBACK_BATCH = 100
/** … and of all their texts so many characters, of which each has an equal share … */
const TEXTS_LIMIT = 262_144
/** … and at most so many. The triggers keep one more, so that a cut shows. */
const TEXT_LIMIT = 65_536

const GO_ON = {
  completed: 'Please go on with your task, with this result in hand.',
  failed: 'Please go on with your task: decide how to deal with this failure.',
  several: 'Please go on with your task, with these results in hand.',
}
const NOTHING_TOLD = { completed: '(no result)', failed: '(no error was told)' }

/** A change of a run, as far as parents are concerned with it. */
export type Changed = Pick<Run, 'session_id' | 'parent_session_id' | 'execution_mode' | 'status'>

/**
 * Whom the end of these runs may bring something: parents of children that ended, and sessions that
 * have time now. In one order always, so that no two who lock them wait for each other.
 */
export function concernedSessions(changed: readonly Changed[]): string[] {
  const ended = changed.filter(({ status }) => isTerminal(status))
  const ids = ended.flatMap(({ session_id, parent_session_id, execution_mode }) =>
    execution_mode === 'async_callback' && parent_session_id !== null
      ? [session_id, parent_session_id]
      : [session_id],
  )
  return [...new Set(ids)].sort()
}

/**
 * The run that brings a parent these outcomes. Its id follows from what is given: the least of the
 * children's, since they come in any order where several ended at once.
 *
 * It belongs to its child's trace. A run can be in one trace only, so of several it is in that of the
 * child that ended last: what was traced before may be long over.
 */
export function callbackRun(
  session_id: string,
  outcomes: readonly [ChildOutcome, ...ChildOutcome[]],
  now: Timestamp,
) {
  const [least = ''] = outcomes.map(({ child_run_id }) => child_run_id).sort()
  const run_id = callbackRunId(least, now)
  const traceparent = outcomes.at(-1)?.traceparent ?? null
  return { run_id, session_id, prompt: callbackPrompt(outcomes), traceparent }
}

function callbackPrompt(outcomes: readonly [ChildOutcome, ...ChildOutcome[]]): string {
  const limit = Math.min(TEXT_LIMIT, Math.floor(TEXTS_LIMIT / outcomes.length))
  const [first, ...more] = outcomes
  if (more.length === 0) {
    return `${element('agent-callback', first, limit)}\n\n${GO_ON[first.status]}`
  }
  const children = outcomes.map((outcome) => element('child', outcome, limit))
  return [
    `<agent-callback type="aggregated" count="${outcomes.length}">`,
    ...children,
    `</agent-callback>\n\n${GO_ON.several}`,
  ].join('\n')
}

function element(name: string, outcome: ChildOutcome, limit: number): string {
  const { child_session_id, status } = outcome
  const error = status === 'failed' ? 'Error: ' : ''
  return [
    `<${name} session="${attribute(child_session_id)}" status="${status}">`,
    `${error}${told(outcome, limit)}`,
    `</${name}>`,
  ].join('\n')
}

function told({ text, status, child_run_id }: ChildOutcome, limit: number): string {
  if (text === '') return NOTHING_TOLD[status]
  const kept = text.slice(0, limit).toWellFormed()
  const whole = text.length <= limit ? kept : `${kept}\n(cut here; ${child_run_id} has the whole)`
  // So that no child ends the element that holds it. In JSON, `\/` is another way to write `/`.
  return whole.replaceAll(/<\/(?=agent-callback|child)/g, '<\\/')
}

const ESCAPED: Record<string, string> = { '&': '&amp;', '"': '&quot;', '<': '&lt;', '>': '&gt;' }
const attribute = (value: string): string =>
  value.replaceAll(/[&"<>]/g, (character) => ESCAPED[character] ?? character)
