import type { ClaimedRunView } from '../client/index.ts'

/** Linux refuses to start a program with a longer `NAME=value`, its closing NUL included. */
const VARIABLE_BYTES_MAX = 128 * 1024

/**
 * What a command learns of its run, beside the prompt on stdin. What the run does not have is
 * undefined, and so is a value that the system could not pass: too long, or with a NUL in it.
 * Undefined also hides what the runner itself inherited, should it be the command of another.
 */
export function runEnvironment(
  run: ClaimedRunView,
  place: { url: string; token?: string | undefined; project_dir: string },
): Record<string, string | undefined> {
  const variables: Record<string, string | null> = {
    RUNQUEUE_RUN_ID: run.run_id,
    RUNQUEUE_SESSION_ID: run.session_id,
    RUNQUEUE_TYPE: run.type,
    RUNQUEUE_ATTEMPT: String(run.attempt),
    RUNQUEUE_PROMPT: run.prompt,
    RUNQUEUE_PARAMETERS: JSON.stringify(run.parameters),
    RUNQUEUE_AGENT_NAME: run.agent_name,
    RUNQUEUE_PROJECT_DIR: place.project_dir,
    RUNQUEUE_SCOPE: run.scope && JSON.stringify(run.scope),
    RUNQUEUE_URL: place.url,
    RUNQUEUE_TOKEN: place.token ?? null,
    TRACEPARENT: run.traceparent,
  }
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, passable(name, value)]),
  )
}

function passable(name: string, value: string | null): string | undefined {
  if (value === null || value.includes('\0')) return undefined
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + '=\0'.length
  return bytes <= VARIABLE_BYTES_MAX ? value : undefined
}
