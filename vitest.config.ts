import { defineConfig } from 'vitest/config'

/** Tests of other folders that need PostgreSQL: they are run with its own, on one server. */
const ON_POSTGRES = 'tests/{http,simulation}/postgres*.test.ts'

/** Less than what any test may take, so that it says what it waited for. */
const POLL_MS = 20_000

const BUILT = /\/dist\/.*\.js$/

interface Options {
  files?: string[]
  exclude?: string[]
  globalSetup?: string[]
  /** Files keep nothing in modules that another could trip over: a process loads what they share once. */
  sharesModules?: boolean
}

/**
 * A folder of tests that is run by its name: `vitest run --project sqlite`.
 * @param seconds what a test may take: many times what the slowest takes on a machine at ease
 */
const project = (name: string, folders: string[], seconds: number, options: Options = {}) => ({
  test: {
    name,
    include: [...(options.files ?? []), ...folders.map((folder) => `tests/${folder}/**/*.test.ts`)],
    exclude: options.exclude ?? [ON_POSTGRES],
    globalSetup: ['tests/support/global-setup.ts', ...(options.globalSetup ?? [])],
    // Processes of their own: a crash of a native module is then the failure of one file.
    pool: 'forks' as const,
    isolate: !options.sharesModules,
    // What was built runs as it is.
    server: { deps: { external: [BUILT] } },
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
    // What a busy machine takes its time for is waited for; 1 s, as it comes, it may well exceed.
    expect: { poll: { timeout: POLL_MS, interval: 10 } },
  },
})

export default defineConfig({
  test: {
    // More than cores, of two: most tests wait for processes and disks (230 s instead of 290).
    maxWorkers: 3,
    projects: [
      project('unit', ['queue', 'client', 'cli', 'runner'], 40, {
        files: ['tests/*.test.ts'],
        sharesModules: true,
      }),
      project('sqlite', ['sqlite'], 60),
      project('postgres', ['postgres'], 120, {
        files: [ON_POSTGRES],
        exclude: [],
        globalSetup: ['tests/postgres/support/global-setup.ts'],
      }),
      project('http', ['http'], 60),
      project('dashboard', ['dashboard'], 120),
      project('server', ['server', 'upkeep'], 120, { sharesModules: true }),
      project('load', ['load'], 120, { sharesModules: true }),
      project('simulation', ['simulation'], 120),
      project('crash', ['crash'], 120),
      project('fuzz', ['fuzz'], 60),
      project('e2e', ['e2e'], 120),
    ],
  },
})
