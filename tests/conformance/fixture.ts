import type { Engine } from '../../src/queue/engine.ts'

/** An empty database of the engine under test. */
export interface EngineFixture {
  /** A connection to it, each as another process would have. Migrates it on first use. */
  open(): Promise<Engine>
  /** How a worker process opens it: `url` given to `openEngine` of the module at this URL. */
  opener: { module: string; url: string }
  /** Removes the database; every engine is closed by then. */
  cleanup(): Promise<void>
}

export type OpenFixture = () => Promise<EngineFixture>

/** What the module of {@link EngineFixture.opener} exports. */
export interface Opener {
  openEngine(url: string): Promise<Engine>
}
