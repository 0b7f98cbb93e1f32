/** What it takes until a command or a server answers, in starts of Node itself that do nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Figure, median, medianRatio, withFolder } from './support.ts'

const BIN = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const ROUNDS = 15

/** How long it takes, in ms, till the process has ended. */
async function run(...args: string[]): Promise<number> {
  const began = performance.now()
  await once(spawn(process.execPath, args, { stdio: 'ignore' }), 'close')
  return performance.now() - began
}

/** Until it says where it listens, with a database that is there. */
async function startServer(database: string) {
  const began = performance.now()
  const args = [BIN, 'serve', '--port', '0', '--database', database, '--log-level', 'error']
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const [said] = (await once(server.stdout, 'data')) as [Buffer]
  const ms = performance.now() - began
  const url = /http:\S+/.exec(String(said))?.[0] ?? ''
  return {
    ms,
    url,
    async stop() {
      server.kill('SIGKILL')
      await once(server, 'close')
    },
  }
}

export async function startFigures(): Promise<Figure[]> {
  const took = { node: [], fetch: [], version: [], list: [], serve: [] } as Record<string, number[]>
  await withFolder(async (folder) => {
    const asked = await startServer(join(folder, 'asked.db'))
    const database = join(folder, 'queue.db')
    await (await startServer(database)).stop()
    // In turn: a machine that others use too is faster in one minute than in the next.
    for (let round = 0; round < ROUNDS; round++) {
      took['node']?.push(await run('-e', '0'))
      took['fetch']?.push(await run('-e', `fetch('${asked.url}/health').then((r) => r.text())`))
      took['version']?.push(await run(BIN, '--version'))
      took['list']?.push(await run(BIN, 'list', '--url', asked.url))
      const server = await startServer(database)
      took['serve']?.push(server.ms)
      await server.stop()
    }
    await asked.stop()
  })
  const { node = [], fetch = [], ...ours } = took
  const ms = (values: number[]) => `${median(values).toFixed(0)} ms`
  const beside = `${ms(node)} (Node with one fetch: ${ms(fetch)})`
  const figure = (what: string, values: number[] = [], bar: number, aim: number): Figure => ({
    what: `${what} / a start of Node`,
    value: medianRatio(values, node),
    unit: '×',
    ...{ bar, aim, better: 'less' },
    detail: `${ms(values)} / ${beside}`,
  })
  return [
    figure('runqueue --version', ours['version'], 4, 2.5),
    figure('runqueue list, of a server', ours['list'], 5, 3),
    figure('runqueue serve, until it listens', ours['serve'], 18, 9),
  ]
}
