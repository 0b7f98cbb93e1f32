/**
 * Room that deleted rows left in the file is given back bit by bit (auto_vacuum = INCREMENTAL,
 * which a file has from its first table on). A step moves pages from the end of the file into the
 * gaps; the file itself gets shorter with the next checkpoint.
 */
import type { Client } from './driver.ts'

/** 200 KB; measured: 0.7 ms and 1 ms for the commit; five times as many take eight times as long. */
const STEP_PAGES = 100
/** Gaps are filled again by what comes next, so a file of which this share is free is left alone … */
const FREE_SHARE = 0.1
/** … and one with so little (2 MB) free, whatever its size. */
const FREE_PAGES = 1_000

export function prepareVacuum(client: Client) {
  const number = (pragma: string) => {
    const statement = client.prepare(`PRAGMA ${pragma}`).pluck()
    return () => statement.get() as number
  }
  const freePages = number('freelist_count')
  const allPages = number('page_count')
  const pageBytes = number('page_size')

  return {
    isWorthIt: (): boolean => freePages() > Math.max(FREE_PAGES, allPages() * FREE_SHARE),

    /** @returns how many bytes shorter the file becomes: 0 for a file made without auto_vacuum. */
    step(): number {
      const before = allPages()
      // exec, since a prepared statement is stepped once here, and each step frees one page.
      client.exec(`PRAGMA incremental_vacuum(${STEP_PAGES})`)
      return (before - allPages()) * pageBytes()
    },
  }
}
