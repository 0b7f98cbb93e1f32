import { RequestError } from './errors.ts'

/** Work that comes meanwhile is found at the next try all the same. */
const RETRY_AFTER_SECONDS = '2'

/** Bounds how many requests of this process wait at a time. */
export class WaitSlots {
  readonly #most: number
  #taken = 0

  constructor(most: number) {
    this.#most = most
  }

  /** @throws RequestError too_many_waiting. Whoever takes one must `free` it. */
  take(): void {
    if (this.#taken >= this.#most) {
      throw new RequestError(
        503,
        'too_many_waiting',
        `${this.#most} requests wait already, which is as many as may: try again later`,
        undefined,
        { 'Retry-After': RETRY_AFTER_SECONDS },
      )
    }
    this.#taken += 1
  }

  free(): void {
    this.#taken -= 1
  }
}
