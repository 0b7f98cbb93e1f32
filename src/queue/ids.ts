import { createHash, randomBytes } from 'node:crypto'
import type { Timestamp } from './run.ts'

/** Random bytes are drawn in stock: asking the system for six at a time costs more than an insert's share. */
const STOCK_BYTES = 4096
let stock = Buffer.alloc(0)
let used = 0

function randomHex(bytes: number): string {
  if (used + bytes > stock.length) {
    stock = randomBytes(STOCK_BYTES)
    used = 0
  }
  used += bytes
  return stock.toString('hex', used - bytes, used)
}

/** So long ids that are made after one another begin alike. */
const TICK_MS = 64

/**
 * 12 hex digits: 3 that tell the time, 9 by chance. What begins alike stands together in an index, so
 * the runs that one commit adds share its pages, however many there are: by chance alone each is on
 * a page of its own. The time comes round every 4 minutes, which keeps collisions as rare as they
 * are by chance alone.
 */
function newHexId(): string {
  const tick = Math.floor(Date.now() / TICK_MS) % 0x1000
  return tick.toString(16).padStart(3, '0') + randomHex(5).slice(1)
}

export const newRunId = (): string => `run_${newHexId()}`
/**
 * The run that tells a parent of this child's end. The engine makes it, which must depend on nothing
 * but what it is given: an operation may run twice, the first time undone.
 */
export const callbackRunId = (child_run_id: string, now: Timestamp): string =>
  `run_${createHash('sha256').update(`${child_run_id}:${now}`).digest('hex').slice(0, 12)}`
export const newSessionId = (): string => `ses_${newHexId()}`
/** 128 random bits: a claim token must not be guessed, nor met twice. */
export const newClaimToken = (): string => randomHex(16)

/** What a runner's id is made of: the same runner started again gets the same id. */
export interface RunnerIdentity {
  hostname: string
  project_dir: string
  executor_profile: string | null
  executor_type: string | null
  /** `executor.command` of runners that register with a profile. */
  command: string | null
}

/**
 * `lnch_` + the first 12 hex digits of sha256 over `hostname:project_dir:profile:command`, or over
 * `hostname:project_dir:executor_type` for runners of the older generation without a profile.
 */
export function runnerId(identity: RunnerIdentity): string {
  const { hostname, project_dir, executor_profile, executor_type, command } = identity
  const parts =
    executor_profile === null
      ? [hostname, project_dir, executor_type ?? '']
      : [hostname, project_dir, executor_profile, command ?? '']
  return `lnch_${createHash('sha256').update(parts.join(':')).digest('hex').slice(0, 12)}`
}
