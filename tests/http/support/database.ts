import type { Engine } from '../../../src/queue/engine.ts'

/** An empty database of the engine under test; the fixtures of `conformance` are such, too. */
export interface TestDatabase {
  /** A connection to it, each as another server process would have. */
  open(): Promise<Engine>
  /** Removes the database; every engine is closed by then. */
  cleanup(): Promise<void>
}

/** What the suites of this folder need of an engine. */
export type OpenDatabase = () => Promise<TestDatabase>
