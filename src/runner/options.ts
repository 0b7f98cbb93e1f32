/** What a runner is told at its start, checked once; and who it is to the server. */
import { accessSync, constants, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import type { RegisterRequest } from '../client/index.ts'
import type { Backoff } from './backoff.ts'
import type { Log } from './events.ts'

export interface RunnerOptions {
  /** Where the server listens, for example `http://127.0.0.1:8765`. */
  url: string
  /** A runner's token, also handed to the command. Not needed while the server has none. */
  token?: string | undefined
  /** The program and its arguments; no shell reads them. */
  command: readonly [string, ...string[]]
  /** How many runs at a time: 1 (the default) to {@link SLOTS_MAX}. */
  slots?: number
  /** Default: this machine's name. */
  hostname?: string
  /** Where runs without a directory of their own work, and part of the identity. Default: here. */
  project_dir?: string
  /** Tells runners apart that have all else in common. Default: `default`. */
  profile?: string
  /** Default: `shell`. */
  executor_type?: string
  tags?: string[]
  /** Take only runs that demand one of the tags. */
  require_matching_tags?: boolean
  /** Between SIGTERM and SIGKILL. Default: 5. */
  grace_seconds?: number
  /** What running work gets when the runner is asked to leave. Default: 30. */
  drain_seconds?: number
  /** How much of the output's end becomes the result. Default: 64 KiB. */
  output_bytes?: number
  /** The pauses between tries. Default: 0.25 s, doubling up to 5 s. */
  backoff?: Backoff
  log?: Log
}

export type RunnerSettings = Required<RunnerOptions>

/** The server hands out no more in one claim. */
export const SLOTS_MAX = 100

/** @throws Error in words for the person who started the runner. */
export function runnerSettings(options: RunnerOptions): RunnerSettings {
  const { slots = 1, project_dir = '.' } = options
  if (!Number.isInteger(slots) || slots < 1 || slots > SLOTS_MAX) {
    throw new Error(`slots must be a whole number from 1 to ${SLOTS_MAX}, not ${slots}`)
  }
  return {
    hostname: hostname(),
    profile: 'default',
    executor_type: 'shell',
    tags: [],
    require_matching_tags: false,
    grace_seconds: 5,
    drain_seconds: 30,
    output_bytes: 64 * 1024,
    token: undefined,
    backoff: { first_seconds: 0.25, most_seconds: 5 },
    log: () => {},
    ...options,
    slots,
    project_dir: existingDirectory(project_dir),
  }
}

/** The same values make the same runner id: that is how a runner started again is recognised. */
export function registerRequest(settings: RunnerSettings): RegisterRequest {
  return {
    hostname: settings.hostname,
    project_dir: settings.project_dir,
    executor_profile: settings.profile,
    executor: { type: settings.executor_type, command: settings.command.join(' ') },
    tags: settings.tags,
    require_matching_tags: settings.require_matching_tags,
  }
}

/**
 * Where the program is. Looked for at the start, because a runner that cannot start anything would
 * claim and fail every run there is; and made absolute, because runs work in other directories.
 * @throws Error if there is no such program, or it may not be executed.
 */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string {
  const candidates = name.includes('/')
    ? [resolve(name)]
    : path.split(delimiter).map((directory) => join(directory || '.', name))
  const program = candidates.find(isExecutable)
  if (program === undefined) {
    throw new Error(
      `there is no program "${name}" to execute${name.includes('/') ? '' : ' in PATH'}; ` +
        'a line for a shell is given as: sh -c "…"',
    )
  }
  return resolve(program)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function existingDirectory(path: string): string {
  const directory = resolve(path)
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return directory
  throw new Error(`the project directory ${directory} does not exist`)
}
