/** The load command as a program of its own, for tests that send it signals. */
import { processContext } from '../../src/cli/context.ts'
import { loadCommand } from '../../src/load/command.ts'

const context = processContext()
await loadCommand(context).parseAsync()
process.exitCode = context.exitCode
