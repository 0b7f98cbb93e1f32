/** What a runner has to say, said until it is heard. */
import type { ClaimedRunView, RunqueueClient } from '../client/index.ts'
import { isRefusal, type Patience, untilAnswered } from './backoff.ts'
import type { Outcome } from './process.ts'

/**
 * Each report is repeated until the server has taken it or refused it: a refusal (the run is no
 * longer this runner's, or never was) is logged, and that is that.
 * @returns whether it was taken. All resolve at once to false when the runner's patience ends.
 */
export class Reports {
  readonly #client: RunqueueClient
  readonly #patience: Patience

  constructor(client: RunqueueClient, patience: Patience) {
    this.#client = client
    this.#patience = patience
  }

  started(runner_id: string, run: ClaimedRunView): Promise<boolean> {
    const report = { runner_id, claim_token: run.claim_token }
    return this.#deliver(
      () => this.#client.reportStarted(run.run_id, report),
      `report ${run.run_id} started`,
      run,
    )
  }

  ended(runner_id: string, run: ClaimedRunView, outcome: Outcome): Promise<boolean> {
    const report = { runner_id, claim_token: run.claim_token }
    const call = () => {
      switch (outcome.status) {
        case 'completed':
          return this.#client.reportCompleted(run.run_id, {
            ...report,
            result: { text: outcome.text, data: null },
          })
        case 'failed':
          return this.#client.reportFailed(run.run_id, { ...report, error: outcome.error })
        case 'stopped':
          return this.#client.reportStopped(run.run_id, { ...report, signal: outcome.signal })
      }
    }
    return this.#deliver(call, `report ${run.run_id} ${outcome.status}`, run)
  }

  /** For a run that this runner was told to stop and does not have. */
  absentRunStopped(runner_id: string, run_id: string): Promise<boolean> {
    return this.#deliver(
      () => this.#client.reportStopped(run_id, { runner_id }),
      `report ${run_id} stopped`,
      { run_id },
    )
  }

  /** For a session that this runner was told to stop and runs nothing for. */
  absentSessionStopped(runner_id: string, session_id: string): Promise<boolean> {
    return this.#deliver(
      () => this.#client.reportSessionStatus(session_id, { runner_id, status: 'stopped' }),
      `report session ${session_id} stopped`,
      { session_id },
    )
  }

  async #deliver(
    call: () => Promise<unknown>,
    what: string,
    { run_id, session_id }: { run_id?: string; session_id?: string },
  ): Promise<boolean> {
    const about = { ...(run_id && { run_id }), ...(session_id && { session_id }) }
    try {
      await untilAnswered(call, { what }, this.#patience)
      return true
    } catch (error) {
      if (isRefusal(error)) {
        const message = `could not ${what}, the server refused: ${error.message}`
        this.#patience.log({ event: 'report_refused', message, ...about })
      } else if (this.#patience.signal.aborted) {
        const message = `could not ${what}: the runner ended before the server answered`
        this.#patience.log({ event: 'report_undelivered', message, ...about })
      } else {
        throw error
      }
      return false
    }
  }
}
