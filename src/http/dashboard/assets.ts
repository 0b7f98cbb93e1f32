/** What the pages load: plain files of `web/`, as they stand, and the plots' library. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname } from 'node:path'

interface Asset {
  bytes: Buffer<ArrayBuffer>
  type: string
  etag: string
}

interface Assets {
  /** Part of every address, and changes with any file: so browsers may keep them for ever. */
  version: string
  files: ReadonlyMap<string, Asset>
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** At the top of the package, so that this is right from `src/` and `dist/` alike. */
const FOLDER = new URL('../../../web/', import.meta.url)
const PLOTS = { 'uplot.js': 'uPlot.iife.min.js', 'uplot.css': 'uPlot.min.css' }

export const etagOf = (content: string | Buffer): string =>
  `"${createHash('sha256').update(content).digest('hex').slice(0, 16)}"`

let read: Assets | undefined

/** Read once for the process: they are part of the program. */
export function assets(): Assets {
  read ??= readAssets()
  return read
}

function readAssets(): Assets {
  const { resolve } = createRequire(import.meta.url)
  const own = readdirSync(FOLDER)
    .filter((name) => extname(name) in TYPES)
    .map((name) => [name, readFileSync(new URL(name, FOLDER))] as const)
  const plots = Object.entries(PLOTS).map(
    ([name, file]) => [name, readFileSync(resolve(`uplot/dist/${file}`))] as const,
  )
  const files = new Map<string, Asset>()
  const all = createHash('sha256')
  for (const [name, bytes] of [...own, ...plots]) {
    const etag = etagOf(bytes)
    all.update(`${name} ${etag}\n`)
    files.set(name, { bytes, type: TYPES[extname(name)] ?? '', etag })
  }
  return { version: all.digest('hex').slice(0, 12), files }
}
