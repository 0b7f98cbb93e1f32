/**
 * Calls that come while others are under way go together, in one statement and one commit: what a
 * statement costs beside its rows, and the wait for the disk, is shared. A lone call goes at once.
 */
import { QueueError } from '../queue/errors.ts'
import { translate } from './errors.ts'

/** So many statements of a kind are under way at once; what comes meanwhile waits for the next. */
const AT_ONCE = 3
/** A statement's length has a bound, too. */
const BATCH_MAX = 100

interface Waiting<Given, Outcome> {
  given: Given
  resolve: (outcome: Outcome) => void
  reject: (error: unknown) => void
}

export class Together<Given, Outcome> {
  readonly #work: (batch: Given[]) => Promise<Outcome[]>
  #waiting: Waiting<Given, Outcome>[] = []
  #underWay = 0

  /** @param work does what is given, and tells the outcomes in the same order; all or none */
  constructor(work: (batch: Given[]) => Promise<Outcome[]>) {
    this.#work = work
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
    const batch = this.#waiting.splice(0, BATCH_MAX)
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

const isTrouble = (error: unknown): boolean =>
  error instanceof QueueError && error.code.startsWith('database_')
