import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The variable that says where. */
export const TEMP_DIRS = 'RUNQUEUE_TEMP_DIRS'

/** A folder on the disk, for as long as `remove` is not called. */
export function makeTempDir(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(process.env[TEMP_DIRS] ?? tmpdir(), 'runqueue-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A folder for the test that is running, removed at its end. */
export function tempDir(): string {
  const { path, remove } = makeTempDir()
  onTestFinished(remove)
  return path
}
