import { copyFileSync } from 'node:fs'
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

/** A migrated file, made once in this process: to copy it takes a third less than to migrate anew. */
let template: Promise<string> | undefined
async function makeTemplate(): Promise<string> {
  const folder = makeTempDir()
  process.once('exit', folder.remove)
  const path = join(folder.path, 'template.db')
  await (await openEngine(`file:${path}`)).close()
  return path
}

export async function openFixture(): Promise<EngineFixture> {
  template ??= makeTemplate()
  const folder = makeTempDir()
  const path = join(folder.path, 'queue.db')
  copyFileSync(await template, path)
  const url = `file:${path}`
  return {
    open: () => openEngine(url),
    opener: { module: import.meta.url, url },
    cleanup: async () => folder.remove(),
  }
}
