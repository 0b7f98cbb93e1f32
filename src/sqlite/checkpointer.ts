/**
 * Keeps the WAL file bounded without making anybody wait for it.
 *
 * SQLite's own automatic checkpoint runs inside the commit that fills the WAL and waits for the
 * disk on the event loop: measured here, it was half of the time of all commits and made one claim
 * in a hundred take milliseconds. So it is off, and a thread does it.
 */
import { Worker } from 'node:worker_threads'
import { type Client, driverName } from './driver.ts'

/** Copy the WAL into the database when so many pages of it (8 MB) wait for that … */
const CHECKPOINT_FRAMES = 4_000
/** … and where writers never pause long enough for it to begin anew (32 MB), make them. */
const RESTART_FRAMES = 16_000
/** The size is asked for (some microseconds) once in so many commits. */
const COMMITS_BETWEEN_LOOKS = 32

export class Checkpointer {
  readonly #path: string
  readonly #walSize: () => { log: number; checkpointed: number }
  #worker: Worker | undefined
  #busy = false
  #again = false
  #commits = 0

  constructor(client: Client, path: string) {
    this.#path = path
    const noop = client.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.#walSize = () => noop.get() as { log: number; checkpointed: number }
  }

  afterCommit(): void {
    this.#commits += 1
    if (this.#commits < COMMITS_BETWEEN_LOOKS || this.#busy) return
    this.#commits = 0
    try {
      const { log, checkpointed } = this.#walSize()
      if (log - checkpointed < CHECKPOINT_FRAMES) return
      this.#begin({ restart: log >= RESTART_FRAMES })
    } catch {
      // Locked or unreadable for the moment. The commit that brought us here is done; the next
      // ones look again.
    }
  }

  /** Copies what waits now, however little: the file is then as long as the pages in use. */
  checkpoint(): void {
    if (this.#busy) this.#again = true
    else this.#begin({ restart: false })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #begin(order: { restart: boolean }): void {
    this.#busy = true
    this.#again = false
    this.#thread().postMessage(order)
  }

  /** Started when first needed: a small queue never needs it. */
  #thread(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(new URL('./checkpoint-worker.mjs', import.meta.url), {
      workerData: { path: this.#path, driver: import.meta.resolve(driverName) },
    })
    worker.on('message', () => {
      this.#busy = false
      if (this.#again) this.#begin({ restart: false })
    })
    // It could not open the file, say since the disk is full: the next one tries again.
    worker.on('error', () => {
      this.#busy = false
      this.#worker = undefined
    })
    worker.unref()
    this.#worker = worker
    return worker
  }
}
