import { join } from 'node:path'
import type { Engine } from '../../src/queue/engine.ts'
import { openSqliteEngine } from '../../src/sqlite/engine.ts'
import type { EngineFixture } from '../conformance/fixture.ts'
import { makeTempDir } from '../support/temp-dir.ts'

/**
 * Power cuts are no subject of these tests; everything else is as durable as it is fast.
 * @public claimers in processes of their own import it by name
 */
export const openEngine = (url: string): Promise<Engine> =>
  openSqliteEngine({ url, durability: 'normal' })

export async function openFixture(): Promise<EngineFixture> {
  const folder = makeTempDir()
  const url = `file:${join(folder.path, 'queue.db')}`
  return {
    open: () => openEngine(url),
    opener: { module: import.meta.url, url },
    cleanup: async () => folder.remove(),
  }
}
