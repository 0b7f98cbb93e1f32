import { join } from 'node:path'
import { openSqliteEngine } from '../../../src/sqlite/engine.ts'
import { makeTempDir } from '../../support/temp-dir.ts'
import type { TestDatabase } from './database.ts'

/** Commits do not wait for the disk: no test of this folder cuts the power. */
export async function sqliteDatabase(): Promise<TestDatabase> {
  const { path, remove } = makeTempDir()
  const url = `file:${join(path, 'queue.db')}`
  return {
    open: () => openSqliteEngine({ url, durability: 'normal' }),
    cleanup: async () => remove(),
  }
}
