/**
 * Polls that wait for work. A change wakes only those who can have something from it: for each run
 * that became claimable one waiter that satisfies its demands, the one that waits longest.
 *
 * What is remembered here is only who waits; whether there is work, the claim decides.
 */
import { type Capabilities, satisfies } from '../queue/demands.ts'
import type { Changes, News, RunNews } from '../queue/engine.ts'
import type { WaitSlots } from './wait-slots.ts'

/** Waiters with equal capabilities are asked once for all of them. */
interface Group {
  capabilities: Capabilities
  members: number
  /** Those not woken already, in the order in which they began to wait. */
  idle: Set<Waiter>
}

export class WaitingRunners {
  readonly #changes: Changes
  readonly #slots: WaitSlots
  readonly #groups = new Map<string, Group>()
  readonly #byRunner = new Map<string, Set<Waiter>>()
  #unsubscribe: (() => void) | undefined
  #order = 0
  /** How many wait. */
  count = 0

  /** @param closing wakes all when it aborts */
  constructor(changes: Changes, closing: AbortSignal, slots: WaitSlots) {
    this.#changes = changes
    this.#slots = slots
    // One listener for all: AbortSignal.any would leave a trace of each poll in a signal that lasts.
    closing.addEventListener('abort', () => {
      for (const waiters of this.#byRunner.values()) for (const waiter of waiters) waiter.wake()
    })
  }

  /**
   * From now on nothing is missed: a change before `next` is called makes it return at once.
   * The waiter must `leave`.
   * @param capabilities null: it takes no runs, and waits for what concerns its runner only.
   * @throws RequestError too_many_waiting
   */
  enter(runner_id: string, capabilities: Capabilities | null): Waiter {
    this.#slots.take()
    this.count += 1
    const key = JSON.stringify(capabilities)
    const waiter = new Waiter(this, runner_id, key, this.#order++)
    if (capabilities !== null) {
      const group = this.#groups.get(key) ?? { capabilities, members: 0, idle: new Set() }
      this.#groups.set(key, group)
      group.members += 1
      group.idle.add(waiter)
    }
    const waiters = this.#byRunner.get(runner_id) ?? new Set()
    this.#byRunner.set(runner_id, waiters.add(waiter))
    this.#unsubscribe ??= this.#changes.subscribe((news) => this.#hear(news))
    return waiter
  }

  /** The waiter looked, and waits for what comes next. */
  rest(waiter: Waiter): void {
    this.#groups.get(waiter.groupKey)?.idle.add(waiter)
  }

  /** Runs it was woken for and did not take are offered to somebody else. */
  leave(waiter: Waiter, offered: readonly RunNews[]): void {
    this.#slots.free()
    this.count -= 1
    const group = this.#groups.get(waiter.groupKey)
    if (group) {
      group.idle.delete(waiter)
      group.members -= 1
      if (group.members === 0) this.#groups.delete(waiter.groupKey)
    }
    const waiters = this.#byRunner.get(waiter.runner_id)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#byRunner.delete(waiter.runner_id)
    for (const run of offered) this.#offer(run)
    if (this.#byRunner.size > 0) return
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
  }

  #hear(news: News): void {
    for (const run of news.runs) {
      if (run.status === 'pending' && run.available_at === null) this.#offer(run)
    }
    for (const runner_id of news.runner_ids) {
      for (const waiter of this.#byRunner.get(runner_id) ?? []) waiter.wake()
    }
  }

  #offer(run: RunNews): void {
    let first: Waiter | undefined
    for (const { capabilities, idle } of this.#groups.values()) {
      const [longest] = idle
      if (!longest || (first && first.order < longest.order)) continue
      if (satisfies(capabilities, run.demands)) first = longest
    }
    if (!first) return
    this.#groups.get(first.groupKey)?.idle.delete(first)
    first.offer(run)
  }
}

export class Waiter {
  readonly runner_id: string
  readonly groupKey: string
  readonly order: number
  readonly #waiting: WaitingRunners
  /** Woken for these, but not looked yet … */
  #offered: RunNews[] = []
  /** … and looked for these. */
  #looked: RunNews[] = []
  #woken = false
  #resolve: (() => void) | undefined

  constructor(waiting: WaitingRunners, runner_id: string, groupKey: string, order: number) {
    this.#waiting = waiting
    this.runner_id = runner_id
    this.groupKey = groupKey
    this.order = order
  }

  offer(run: RunNews): void {
    this.#offered.push(run)
    this.wake()
  }

  wake(): void {
    this.#woken = true
    this.#resolve?.()
  }

  /** Resolves when there is news for this runner, the time is up or the signal aborts. */
  async next(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          this.#resolve = undefined
          resolve()
        }
        const timer = setTimeout(done, milliseconds)
        signal.addEventListener('abort', done, { once: true })
        this.#resolve = done
      })
    }
    this.#woken = false
    this.#looked = this.#offered.splice(0)
  }

  /** It looked and found nothing: what it was woken for, somebody else has. */
  rest(): void {
    this.#looked = []
    this.#waiting.rest(this)
  }

  /** @param taken ids of the runs it takes along */
  leave(taken: readonly string[]): void {
    this.#waiting.leave(
      this,
      [...this.#looked, ...this.#offered].filter(({ run_id }) => !taken.includes(run_id)),
    )
  }
}
