import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { importBuilt } from '../support/built.ts'
import { tempDir } from '../support/temp-dir.ts'
import { databasesIn } from './databases.ts'

const { startOwnServer }: typeof import('../../src/load/own-server.ts') =
  await importBuilt('load/own-server')

/** Lets servers of this test put their databases into a folder of its own. */
function temporaryFolder(): { databases: () => string[] } {
  const folder = tempDir()
  vi.stubEnv('TMPDIR', folder)
  onTestFinished(() => void vi.unstubAllEnvs())
  return { databases: () => databasesIn(folder) }
}

async function ownServer() {
  const server = await startOwnServer([])
  onTestFinished(server.close)
  return server
}

/** Processes that this one has started and that still run. */
const children = (): number[] =>
  readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )

describe('a server of its own', () => {
  it('goes with its database when the harness is killed', async () => {
    const { databases } = temporaryFolder()
    const entry = fileURLToPath(new URL('own-server-entry.mjs', import.meta.url))
    const harness = fork(entry, { execArgv: [] })
    onTestFinished(() => void harness.kill('SIGKILL'))
    await once(harness, 'message')
    expect(databases()).toHaveLength(1)
    harness.kill('SIGKILL')
    await expect.poll(databases, { timeout: 20_000 }).toEqual([])
  })

  it('says so when it dies', async () => {
    temporaryFolder()
    const before = children()
    const server = await ownServer()
    const [pid] = children().filter((child) => !before.includes(child))
    process.kill(pid ?? Number.NaN, 'SIGKILL')
    await once(server.died, 'abort')
    expect(server.died.reason).toMatchObject({ message: 'the server under load ended: SIGKILL' })
  })

  it('says so when it does not come up', async () => {
    temporaryFolder()
    vi.stubEnv('DURABILITY', 'nonsense')
    await expect(startOwnServer([])).rejects.toThrow('the server under load ended: exit code 1')
  })
})
