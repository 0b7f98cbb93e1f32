/** The runner command as a program of its own, for tests that send it signals. */
import { runnerCommand } from '../../src/runner/command.ts'

await runnerCommand().parseAsync()
