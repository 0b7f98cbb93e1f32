// Fails when a schema changed without a migration: generating one must change nothing.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const DIALECTS = { sqlite: 'sqlite', postgres: 'postgresql' }

function isInStep(folder, dialect) {
  // Beside the repository's own folders, since drizzle-kit takes paths relative to its config.
  const scratch = mkdtempSync(join(process.cwd(), '.check-migrations-'))
  try {
    cpSync(`drizzle/${folder}`, scratch, { recursive: true })
    const before = readdirSync(scratch).length
    execFileSync(
      process.execPath,
      [
        'node_modules/drizzle-kit/bin.cjs',
        'generate',
        `--dialect=${dialect}`,
        `--schema=src/${folder}/schema.ts`,
        `--out=${scratch.slice(process.cwd().length + 1)}`,
      ],
      { stdio: 'pipe' },
    )
    return readdirSync(scratch).length === before
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

for (const [folder, dialect] of Object.entries(DIALECTS)) {
  if (isInStep(folder, dialect)) continue
  console.error(`src/${folder}/schema.ts changed: run \`npm run generate\` and commit drizzle/`)
  process.exitCode = 1
}
if (!process.exitCode) console.log('migrations match the schemas')
