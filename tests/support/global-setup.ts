/** One folder for all that tests write, since the processes that run them are ended without a word. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TEMP_DIRS } from './temp-dir.ts'

/** Each group of tests calls it, in one process; that one's end removes the folder. */
export default function setup(): void {
  if (process.env[TEMP_DIRS] !== undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'runqueue-tests-'))
  // PostgreSQL, as another user, finds what is its own in there.
  chmodSync(folder, 0o711)
  process.env[TEMP_DIRS] = folder
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
}
