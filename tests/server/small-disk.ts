/** A disk that is soon full: a file system in memory, where this user may mount one. */
import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { makeTempDir } from '../support/temp-dir.ts'

export const MB = 1024 * 1024

function mount(path: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' })
}
const unmount = (path: string) => execFileSync('umount', ['-l', path], { stdio: 'pipe' })

function tryToMount(): boolean {
  const { path, remove } = makeTempDir()
  try {
    mount(path, 'size=1m')
    unmount(path)
    return true
  } catch {
    return false
  } finally {
    remove()
  }
}

export const canMount = tryToMount()
/** For the name of a test, which else would be left out in silence. */
export const leftOut = canMount ? '' : ' (left out: needs the right to mount a tmpfs)'

export interface SmallDisk {
  folder: string
  /** Takes so much, or all that there is. */
  take(bytes?: number): void
  /** Gives back what was taken. */
  free(): void
  /** May only be read from now on. */
  lock(): void
}

export function smallDisk(megabytes: number): SmallDisk {
  const { path, remove } = makeTempDir()
  mount(path, `size=${megabytes}m`)
  onTestFinished(() => {
    unmount(path)
    remove()
  })
  const ballast = join(path, 'ballast')
  return {
    folder: path,
    take(bytes) {
      const { bavail, bsize } = statfsSync(path)
      writeFileSync(ballast, Buffer.alloc(bytes ?? bavail * bsize))
    },
    free: () => rmSync(ballast),
    lock() {
      execFileSync('mount', ['-o', 'remount,ro', path], { stdio: 'pipe' })
    },
  }
}
