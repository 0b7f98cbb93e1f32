/**
 * Calls that come while others are under way go together, in one statement and one commit: what a
 * statement costs beside its rows, and the wait for the disk, is shared. A lone call goes at once.
 */
import { QueueError } from '../queue/errors.ts'
import { translate } from './errors.ts'

/** So many statements of a kind are under way at once; what comes meanwhile waits for the next. */
const AT_ONCE = 3
/** What goes together is bounded: so many, … */
const BATCH_MAX = 100
/** … and so long all together, as texts: one that is longer goes alone. */
const BATCH_LENGTH_MAX = 4 * 1024 * 1024

interface Waiting<Given, Outcome> {
  given: Given
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

export class Together<Given, Outcome> {
  readonly #work: (batch: Given[]) => Promise<Outcome[]>
  readonly #lengthOf: (given: Given) => number
  #waiting: Waiting<Given, Outcome>[] = []
  #underWay = 0

  /**
   * @param work does what is given, and tells the outcomes in the same order; all or none
   * @param lengthOf how long a text it makes, where that may be much
   */
  constructor(
    work: (batch: Given[]) => Promise<Outcome[]>,
    lengthOf: (given: Given) => number = () => 0,
  ) {
    this.#work = work
    this.#lengthOf = lengthOf
  }

  ask(given: Given): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ given, resolve, reject })
      if (this.#underWay < AT_ONCE && this.#waiting.length === 1) this.#start()
    })
  }

  #start(): void {
    this.#underWay += 1
    // What else comes in this turn of the event loop goes along.
    setImmediate(() => {
      void this.#next().finally(() => {
        this.#underWay -= 1
        if (this.#waiting.length > 0) this.#start()
      })
    })
  }

  async #next(): Promise<void> {
    const count = leading(this.#waiting, ({ given }) => this.#lengthOf(given))
    const batch = this.#waiting.splice(0, count)
    if (batch.length === 0) return
    try {
      const outcomes = await this.#work(batch.map(({ given }) => given))
      for (const [at, { resolve }] of batch.entries()) resolve(outcomes[at] as Outcome)
    } catch (error) {
      // What the world does to the database befalls all; anything else is the fault of one.
      const isOnes = batch.length > 1 && !isTrouble(translate(error))
      await Promise.all(batch.map((one) => (isOnes ? this.#alone(one) : one.reject(error))))
    }
  }

  async #alone({ given, resolve, reject }: Waiting<Given, Outcome>): Promise<void> {
    try {
      const [outcome] = await this.#work([given])
      resolve(outcome as Outcome)
    } catch (error) {
      reject(error)
    }
  }
}

/** How many of the first of these may go together. */
export function leading<T>(all: readonly T[], lengthOf: (one: T) => number): number {
  const end = Math.min(all.length, BATCH_MAX)
  let length = 0
  for (let count = 0; count < end; count += 1) {
    length += lengthOf(all[count] as T)
    if (length > BATCH_LENGTH_MAX) return Math.max(1, count)
  }
  return end
}

const isTrouble = (error: unknown): boolean =>
  error instanceof QueueError && error.code.startsWith('database_')
