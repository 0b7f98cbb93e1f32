/** Environment and flags → one frozen Config, parsed once. Every mistake is named, all at once. */

import { DATABASE_SCHEMES } from './engine.ts'
import { DURABILITIES, type Durability } from './queue/engine.ts'
import { RECOVERY_MODES, RECOVERY_THRESHOLD_SECONDS, type RecoveryMode } from './queue/recovery.ts'
import { MATCH_TIMEOUT_SECONDS } from './queue/run-queue.ts'
import { RETENTION_SECONDS } from './queue/storage.ts'
import { parseDuration } from './queue/time.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export interface Config {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly databaseUrl: string
  readonly durability: Durability
  readonly logLevel: (typeof LOG_LEVELS)[number]
  /** Origins that browsers may call from; empty: none. */
  readonly corsOrigins: readonly string[]
  readonly pollTimeoutSeconds: number
  readonly heartbeatIntervalSeconds: number
  /** A runner is stale after this many seconds without a heartbeat … */
  readonly staleThresholdSeconds: number
  /** … and removed, with what it held settled, after this many. */
  readonly removeThresholdSeconds: number
  /** How often lost runners are looked for. */
  readonly lifecycleIntervalSeconds: number
  /** How often time-outs and claims that never started are looked for. */
  readonly sweepIntervalSeconds: number
  readonly noMatchTimeoutSeconds: number
  /** With so many runs pending, no more are taken; null: however many. */
  readonly maxPending: number | null
  /** Runs a second that each token may add; 0: as many as it likes. */
  readonly runRateLimit: number
  /** … and at once, after a rest. */
  readonly runRateBurst: number
  readonly maxConnections: number
  /** How many requests may wait, for work or for a run's end. */
  readonly maxWaiting: number
  readonly claimTimeoutSeconds: number
  readonly recoveryMode: RecoveryMode
  readonly recoveryThresholdSeconds: number
  /** How long finished runs are kept; null: for ever. */
  readonly retentionSeconds: number | null
}

/** What was wrong, one sentence a mistake, each naming the variable. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

type Environment = Record<string, string | undefined>

/** Proxies cut idle connections at 60 s. */
const POLL_TIMEOUT_MAX = 59
const SECONDS_MAX = 365 * 24 * 3600
const MAX_PENDING_MAX = 1_000_000_000
const RETENTION_MAX = 10 * SECONDS_MAX
const RATE_MAX = 1_000_000
const CONNECTIONS_MAX = 1_000_000

/**
 * @param environment as in process.env; flags are put over it under the same names.
 * @throws ConfigError
 */
export function parseConfig(environment: Environment): Config {
  const mistakes: string[] = []
  // A variable that is set but empty counts as not set, as in shells and compose files.
  const given = (name: string): string | undefined => environment[name]?.trim() || undefined

  function text(name: string, fallback: string): string {
    return given(name) ?? fallback
  }

  function oneOf<const W extends string>(name: string, words: readonly W[], fallback: W): W {
    const value = given(name)
    if (value === undefined) return fallback
    const word = words.find((candidate) => candidate === value)
    if (word === undefined) mistakes.push(`${name} must be ${orList(words)}, not '${value}'`)
    return word ?? fallback
  }

  function number(name: string, fallback: number, min: number, max: number): number {
    const value = given(name)
    if (value === undefined) return fallback
    // Number() would take '0x10' and '1e3', which nobody means here.
    const parsed = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN
    if (parsed >= min && parsed <= max) return parsed
    mistakes.push(`${name} must be a number from ${min} to ${max}, not '${value}'`)
    return fallback
  }

  function whole<F>(name: string, fallback: F, min: number, max: number): number | F {
    const value = given(name)
    if (value === undefined) return fallback
    const parsed = /^\d+$/.test(value) ? Number(value) : Number.NaN
    if (parsed >= min && parsed <= max) return parsed
    mistakes.push(`${name} must be a whole number from ${min} to ${max}, not '${value}'`)
    return fallback
  }

  function retention(name: string, fallback: number): number | null {
    const value = given(name)
    if (value === undefined) return fallback
    if (value === 'off') return null
    const parsed = parseDuration(value)
    if (parsed !== null && parsed >= 1 && parsed <= RETENTION_MAX) return parsed
    mistakes.push(
      `${name} must be a time from 1s to 3650d, like 90s, 15m, 12h or 7d, or off, not '${value}'`,
    )
    return fallback
  }

  function origins(name: string): string[] {
    return text(name, '')
      .split(',')
      .map((origin) => origin.trim())
      .filter(Boolean)
  }

  const runRateLimit = number('RUN_RATE_LIMIT', 0, 0, RATE_MAX)
  const config: Config = {
    host: text('HOST', '127.0.0.1'),
    port: whole('PORT', 8765, 0, 65_535),
    databaseUrl: databaseUrl(text('DATABASE_URL', 'file:./data/runqueue.db'), mistakes),
    durability: oneOf('DURABILITY', DURABILITIES, 'full'),
    logLevel: oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    corsOrigins: origins('CORS_ORIGINS'),
    pollTimeoutSeconds: number('RUNNER_POLL_TIMEOUT', 30, 0, POLL_TIMEOUT_MAX),
    heartbeatIntervalSeconds: number('RUNNER_HEARTBEAT_INTERVAL', 60, 0.1, SECONDS_MAX),
    staleThresholdSeconds: number('RUNNER_STALE_THRESHOLD', 120, 0, SECONDS_MAX),
    removeThresholdSeconds: number('RUNNER_REMOVE_THRESHOLD', 600, 0, SECONDS_MAX),
    lifecycleIntervalSeconds: number('RUNNER_LIFECYCLE_INTERVAL', 30, 0.1, 3600),
    sweepIntervalSeconds: number('RUN_SWEEP_INTERVAL', 2, 0.1, 3600),
    noMatchTimeoutSeconds: number('RUN_NO_MATCH_TIMEOUT', MATCH_TIMEOUT_SECONDS, 0, SECONDS_MAX),
    maxPending: whole('RUN_MAX_PENDING', null, 1, MAX_PENDING_MAX),
    runRateLimit,
    // What one second brings, unless that is less than a run.
    runRateBurst: number('RUN_RATE_BURST', Math.max(1, runRateLimit), 1, RATE_MAX),
    maxConnections: whole('HTTP_MAX_CONNECTIONS', 10_000, 1, CONNECTIONS_MAX),
    maxWaiting: whole('HTTP_MAX_WAITING', 5000, 0, CONNECTIONS_MAX),
    claimTimeoutSeconds: number('RUN_CLAIM_TIMEOUT', 60, 0.1, SECONDS_MAX),
    recoveryMode: oneOf('RUN_RECOVERY_MODE', RECOVERY_MODES, 'stale'),
    recoveryThresholdSeconds: number(
      'RUN_RECOVERY_THRESHOLD',
      RECOVERY_THRESHOLD_SECONDS,
      0,
      SECONDS_MAX,
    ),
    retentionSeconds: retention('RUN_RETENTION', RETENTION_SECONDS),
  }
  if (config.removeThresholdSeconds < config.staleThresholdSeconds) {
    mistakes.push(
      `RUNNER_REMOVE_THRESHOLD (${config.removeThresholdSeconds}) must not be below RUNNER_STALE_THRESHOLD (${config.staleThresholdSeconds})`,
    )
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return Object.freeze(config)
}

function databaseUrl(value: string, mistakes: string[]): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(value)?.[1]?.toLowerCase()
  if (scheme === undefined) return value
  if (!DATABASE_SCHEMES.includes(scheme)) {
    const allowed = orList(DATABASE_SCHEMES.map((known) => `${known}:`))
    mistakes.push(`DATABASE_URL must begin with ${allowed}, not '${scheme}:'`)
  } else if (scheme.startsWith('postgres') && !URL.canParse(value)) {
    mistakes.push('DATABASE_URL must be like postgres://user:password@host:5432/database')
  }
  return value
}

const orList = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
