import { defineConfig } from 'vitest/config'

/** A folder of tests that is run by its name: `vitest run --project sqlite`. */
const project = (name: string, folders: string[], seconds: number, files: string[] = []) => ({
  test: {
    name,
    include: [...files, ...folders.map((folder) => `tests/${folder}/**/*.test.ts`)],
    // Processes of their own: a crash of a native module is then the failure of one file.
    pool: 'forks' as const,
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
  },
})

export default defineConfig({
  test: {
    // Vitest leaves a core free, of two that is half: most tests wait for processes and disks.
    maxWorkers: 2,
    projects: [
      project('unit', ['queue', 'client', 'cli', 'runner'], 10, ['tests/*.test.ts']),
      project('sqlite', ['sqlite'], 30),
      project('http', ['http'], 20),
      project('server', ['server', 'upkeep'], 40),
      project('load', ['load'], 60),
      project('simulation', ['simulation'], 60),
      project('crash', ['crash'], 120),
      project('fuzz', ['fuzz'], 60),
      project('e2e', ['e2e'], 60),
    ],
  },
})
