// Fails when a schema changed without a migration: generating one must change nothing.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

// Beside the repository's own folders, since drizzle-kit takes paths relative to its config.
const scratch = mkdtempSync(join(process.cwd(), '.check-migrations-'))
try {
  cpSync('drizzle/sqlite', scratch, { recursive: true })
  const before = readdirSync(scratch).length
  execFileSync(
    process.execPath,
    [
      'node_modules/drizzle-kit/bin.cjs',
      'generate',
      '--dialect=sqlite',
      '--schema=src/sqlite/schema.ts',
      `--out=${scratch.slice(process.cwd().length + 1)}`,
    ],
    { stdio: 'pipe' },
  )
  if (readdirSync(scratch).length !== before) {
    console.error('src/sqlite/schema.ts changed: run `npm run generate` and commit drizzle/')
    process.exitCode = 1
  } else {
    console.log('migrations match the schema')
  }
} finally {
  rmSync(scratch, { recursive: true })
}
