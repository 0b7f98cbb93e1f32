#!/usr/bin/env node
import { processContext } from './context.ts'
import { EXIT } from './exit-codes.ts'
import { runProgram } from './program.ts'

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has seen enough, as `head` does.
  if (error.code === 'EPIPE') process.exit()
  process.stderr.write(`error: cannot write the output: ${error.message}\n`)
  process.exit(EXIT.failed)
})
// With nobody to tell, the work goes on.
process.stderr.on('error', () => {})

const code = await runProgram(processContext(), process.argv.slice(2))
// Not process.exit: output may still be on its way, and a server goes on.
if (code !== EXIT.ok) process.exitCode = code
