/**
 * The one lane through which all writes of this process go, sharing commits.
 *
 * A commit at synchronous=FULL waits for the disk, so what is waiting when the event loop turns
 * runs in a single BEGIN IMMEDIATE … COMMIT, and each caller's promise settles after that commit.
 * Nothing is delayed on purpose: an idle lane commits a lone operation at once.
 */
import { QueueError } from '../queue/errors.ts'
import { emptyHistogram, LATENCY_BOUNDS, observe } from '../queue/histogram.ts'
import type { Client } from './driver.ts'
import { isBusy, translate } from './errors.ts'

interface Waiting {
  operation: () => unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
  deadline: number
}

/** Bounds what one turn of the event loop does: 256 operations take some 10 ms. */
const BATCH_LIMIT = 256
/** How long to leave the event loop to others before trying a locked database again. */
const BUSY_RETRY_MS = 2

export interface CommitLaneOptions {
  /** How long an operation may wait for a database that others keep locked. */
  busyDeadlineMs: number
  /** Called after each commit. */
  onCommit?: () => void
}

export class CommitLane {
  /** How long transactions took, from BEGIN until they were on the disk. */
  readonly commits = emptyHistogram(LATENCY_BOUNDS)
  readonly #client: Client
  readonly #options: CommitLaneOptions
  readonly #begin
  readonly #commit
  readonly #rollback
  readonly #savepoint
  readonly #release
  readonly #rollbackToSavepoint
  #waiting: Waiting[] = []
  /** So many of those waiting, from the first on, ran before with one that failed. */
  #guarded = 0
  #scheduled = false
  #idle: (() => void)[] = []

  constructor(client: Client, options: CommitLaneOptions) {
    this.#client = client
    this.#options = options
    this.#begin = client.prepare('BEGIN IMMEDIATE')
    this.#commit = client.prepare('COMMIT')
    this.#rollback = client.prepare('ROLLBACK')
    this.#savepoint = client.prepare('SAVEPOINT operation')
    this.#release = client.prepare('RELEASE operation')
    this.#rollbackToSavepoint = client.prepare('ROLLBACK TO operation')
  }

  /**
   * Runs a synchronous operation inside a transaction that others may share.
   * If it throws, its own writes are undone and only its caller is rejected. It may run twice, the
   * first time undone, so it must depend on nothing but the database and what it was given.
   * @returns what it returned, once that is on disk.
   */
  write<T>(operation: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const deadline = performance.now() + this.#options.busyDeadlineMs
      this.#waiting.push({ operation, resolve: resolve as Waiting['resolve'], reject, deadline })
      this.#schedule()
    })
  }

  /** Resolves when nothing is waiting. */
  async drained(): Promise<void> {
    if (this.#waiting.length === 0 && !this.#scheduled) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #schedule(delayMs = 0): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const turn = () => {
      this.#scheduled = false
      this.#flush()
      if (this.#waiting.length > 0) return
      for (const resolve of this.#idle.splice(0)) resolve()
    }
    if (delayMs > 0) setTimeout(turn, delayMs)
    else setImmediate(turn)
  }

  #flush(): void {
    const began = performance.now()
    try {
      this.#begin.run()
    } catch (error) {
      if (isBusy(error)) this.#waitForLock()
      else {
        this.#rejectAll(this.#waiting.splice(0), error)
        this.#undo()
      }
      return
    }
    const guarded = this.#guarded > 0
    const batch = this.#waiting.splice(0, guarded ? this.#guarded : BATCH_LIMIT)
    this.#guarded = 0
    this.#runBatch(batch, guarded, began)
    if (this.#waiting.length > 0) this.#schedule()
  }

  #waitForLock(): void {
    const now = performance.now()
    const late = this.#waiting.filter((waiting) => waiting.deadline <= now)
    this.#waiting = this.#waiting.filter((waiting) => waiting.deadline > now)
    const seconds = this.#options.busyDeadlineMs / 1000
    for (const { reject } of late) {
      reject(
        new QueueError(
          'database_busy',
          `the database was locked by another process for more than ${seconds} s`,
        ),
      )
    }
    if (this.#waiting.length > 0) this.#schedule(BUSY_RETRY_MS)
  }

  /**
   * First without savepoints, which would copy each page that an operation touches: few operations
   * fail. Where one does, all are undone and run again, each in a savepoint of its own.
   */
  #runBatch(batch: Waiting[], guarded: boolean, began: number): void {
    const done: { waiting: Waiting; value: unknown }[] = []
    const failed: { waiting: Waiting; error: unknown }[] = []
    try {
      for (const waiting of batch) {
        if (guarded) this.#savepoint.run()
        try {
          done.push({ waiting, value: waiting.operation() })
        } catch (error) {
          // A full disk or an I/O error makes SQLite drop the whole transaction.
          if (!this.#client.inTransaction) throw error
          failed.push({ waiting, error })
          if (!guarded) break
          this.#rollbackToSavepoint.run()
        }
        if (guarded) this.#release.run()
      }
      if (failed.length === 0 || (guarded && done.length > 0)) this.#commit.run()
      else this.#undo()
    } catch (error) {
      this.#undo()
      this.#rejectAll(batch, error)
      return
    }
    if (failed.length > 0 && !guarded && batch.length > 1) {
      this.#waiting.unshift(...batch)
      this.#guarded = batch.length
      this.#flush()
      return
    }
    for (const { waiting, value } of done) waiting.resolve(value as never)
    for (const { waiting, error } of failed) waiting.reject(translate(error))
    if (done.length === 0) return
    observe(this.commits, (performance.now() - began) / 1000)
    this.#options.onCommit?.()
  }

  #undo(): void {
    try {
      if (this.#client.inTransaction) this.#rollback.run()
    } catch {
      // The error that led here is told. A transaction that is left open makes the next BEGIN
      // fail, which tells its callers and comes here again.
    }
  }

  #rejectAll(batch: Waiting[], error: unknown): void {
    for (const { reject } of batch) reject(translate(error))
  }
}
