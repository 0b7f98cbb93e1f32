import type { Engine } from '../../src/queue/engine.ts'

/** An empty database of the engine under test. */
export interface EngineFixture {
  /** A connection to it, each as another process would have. Migrates it on first use. */
  open(): Promise<Engine>
  /** Where another process opens it. */
  opener: { url: string }
  /** Removes the database; every engine is closed by then. */
  cleanup(): Promise<void>
}

export type OpenFixture = () => Promise<EngineFixture>
