/** The queue in one's own process: what most programs do with it, in few words. */
import type { AddRunRequest, RegisterRequest } from './client/types.ts'
import { openEngine } from './engine.ts'
import { newRun } from './http/new-run.ts'
import { newRunner } from './http/runner.ts'
import { addRunBody, registerBody } from './http/schemas.ts'
import type { Durability, Engine } from './queue/engine.ts'
import { newClaimToken } from './queue/ids.ts'
import type { AddedRun, ClaimedRun, JsonValue, Run } from './queue/run.ts'
import type { Runner } from './queue/runner.ts'
import { timestamp } from './queue/time.ts'

export interface OpenOptions {
  /** `file:./data/runqueue.db`, or `postgres://user:password@host/database`; made if need be. */
  url: string
  durability?: Durability
}

/** As servers have it by default: RUN_NO_MATCH_TIMEOUT. */
const NO_MATCH_TIMEOUT_SECONDS = 300

/**
 * Opens the queue in a database, which servers and other processes may use at the same time. Time-outs,
 * lost runners and retention are what a server (`runqueue serve`) looks after.
 * @throws DatabaseOpenError
 */
export async function openRunQueue(options: OpenOptions): Promise<RunQueueHandle> {
  return new RunQueueHandle(await openEngine(options))
}

class RunQueueHandle {
  /** All that the queue can do. */
  readonly engine: Engine

  constructor(engine: Engine) {
    this.engine = engine
  }

  /** As `POST /runs`. @throws ZodError, RequestError or QueueError; then nothing is stored. */
  async add(run: AddRunRequest): Promise<AddedRun> {
    const now = timestamp(new Date())
    const options = { noMatchTimeoutSeconds: NO_MATCH_TIMEOUT_SECONDS }
    return await this.engine.runs.add(newRun(addRunBody.parse(run), now, options), now)
  }

  async get(runId: string): Promise<Run | null> {
    return await this.engine.runs.get(runId)
  }

  /** As `POST /runner/register`, but that one which is online is taken back, too. */
  async register(runner: RegisterRequest): Promise<Runner> {
    const now = timestamp(new Date())
    return await this.engine.runners.register(newRunner(registerBody.parse(runner)), now, now)
  }

  /** The next runs that the runner can take; none is no error, and nobody waits. */
  async claim(runnerId: string, limit = 1): Promise<ClaimedRun[]> {
    const tokens = Array.from({ length: limit }, newClaimToken)
    const claim = { runner_id: runnerId, limit, claim_key: null, tokens }
    return await this.engine.runs.claim(claim, timestamp(new Date()))
  }

  async start(run: ClaimedRun): Promise<void> {
    await this.engine.runs.start(reportOn(run), timestamp(new Date()))
  }

  async complete(
    run: ClaimedRun,
    result: { text?: string | null; data?: JsonValue } = {},
  ): Promise<void> {
    const { text = null, data = null } = result
    const completion = { session_status: 'finished', result: { text, data } } as const
    await this.engine.runs.complete({ ...reportOn(run), ...completion }, timestamp(new Date()))
  }

  /** It is pending again while attempts are left. */
  async fail(run: ClaimedRun, error: string): Promise<void> {
    await this.engine.runs.fail({ ...reportOn(run), error }, timestamp(new Date()))
  }

  /** Finishes the writes at hand and closes the database. */
  async close(): Promise<void> {
    await this.engine.close()
  }
}

export type { RunQueueHandle }

function reportOn({ run_id, runner_id, claim_token }: ClaimedRun) {
  return { run_id, runner_id: runner_id ?? '', claim_token }
}
