/** Being known to the server, and staying known. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  isTokenRefused,
  type RegisterAnswer,
  type RegisterRequest,
  type RunqueueClient,
} from '../client/index.ts'
import { isStatus, isUnknownOrDenied, type Patience, untilAnswered } from './backoff.ts'

const DUPLICATE =
  'another runner with the same hostname, project directory, profile and command is online, ' +
  'or one was killed and its last sign of life is still fresh ' +
  '(--profile gives each runner an identity of its own)'

export class Registration {
  readonly #client: RunqueueClient
  readonly #request: RegisterRequest
  readonly #patience: Patience
  #answer: RegisterAnswer | null = null
  #pending: Promise<RegisterAnswer>

  constructor(client: RunqueueClient, request: RegisterRequest, patience: Patience) {
    this.#client = client
    this.#request = request
    this.#patience = patience
    this.#pending = this.#known(this.#begin())
  }

  /** Null while the server does not know this runner. */
  get answer(): RegisterAnswer | null {
    return this.#answer
  }

  /**
   * Waits for the registration under way, if one is.
   * @throws ApiError when the server cannot make sense of what the runner says it is, or does not
   *   take its token.
   */
  current(): Promise<RegisterAnswer> {
    return this.#pending
  }

  /**
   * Registers again after the server did not know `lost`. Of several calls that came back with
   * that news only the first registers: a second would meet itself as a duplicate.
   */
  renew(lost: RegisterAnswer): void {
    if (this.#answer !== lost) return
    this.#answer = null
    this.#pending = this.#known(this.#register())
  }

  /** Sends heartbeats for as long as there is patience. */
  async beat(onUnknown: (lost: RegisterAnswer) => void): Promise<void> {
    while (!this.#patience.signal.aborted) {
      const { signal } = this.#patience
      try {
        const known = await this.current()
        await sleep(known.heartbeat_interval_seconds * 1000, undefined, { signal })
        if (this.#answer !== known) continue
        await untilAnswered(
          () => this.#client.heartbeat(known.runner_id),
          { what: 'send a heartbeat', isFinal: isUnknownOrDenied },
          this.#patience,
        ).catch((error) => {
          if (isTokenRefused(error) || !isStatus(error, 401)) throw error
          onUnknown(known)
        })
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }

  /**
   * What a process before this one held under the same id, nobody looks after any more: that runner
   * leaves, so that the server settles its runs, and this one is registered anew.
   */
  async #begin(): Promise<RegisterAnswer> {
    const { runner_id } = await this.#register()
    await untilAnswered(
      () => this.#client.removeRunner(runner_id, { self: true }),
      {
        what: 'settle what this runner held before',
        isFinal: (error) => isStatus(error, 404) || isTokenRefused(error),
      },
      this.#patience,
    ).catch((error) => {
      if (!isStatus(error, 404)) throw error
    })
    return await this.#register()
  }

  #register(): Promise<RegisterAnswer> {
    return untilAnswered(
      () => this.#client.registerRunner(this.#request),
      {
        what: 'register',
        // What it says of itself will not change; everything else may.
        isFinal: (error) => isStatus(error, 400) || isStatus(error, 422) || isTokenRefused(error),
        explain: (error) => (isStatus(error, 409) ? DUPLICATE : String((error as Error).message)),
      },
      this.#patience,
    )
  }

  #known(registered: Promise<RegisterAnswer>): Promise<RegisterAnswer> {
    const known = registered.then((answer) => {
      this.#answer = answer
      const message = `registered as ${answer.runner_id}`
      this.#patience.log({ event: 'registered', message })
      return answer
    })
    // Whoever waits for it hears of a failure; that nobody may be waiting is no error of its own.
    known.catch(() => {})
    return known
  }
}
