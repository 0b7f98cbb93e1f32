/** What the servers keep the queue in: a file, or a PostgreSQL server of one's own, which is killed too. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createPostgresServer, type PostgresServer } from '../postgres/support/server.ts'
import { openReader, type Reader } from './database.ts'
import { openPostgresReader } from './postgres-database.ts'

export const ENGINES = ['sqlite', 'postgres'] as const
export type EngineName = (typeof ENGINES)[number]

export interface Store {
  /** As servers are told. */
  url: string
  /** Its events have ids in the order of their commits. */
  ordered: boolean
  openReader(): Promise<Reader>
  /** It is away, or was a moment ago: a server that started then may have ended for that. */
  wasAway(): boolean
  /** Kills the database itself, and starts it again; null where there is no such process. */
  crash: ((random: () => number) => Promise<void>) | null
  /** @returns where it is kept, if it is to be and can be */
  remove(keep: boolean): Promise<string | null>
}

export const openStore = (engine: EngineName): Promise<Store> =>
  engine === 'sqlite' ? openFile() : openServer()

async function openFile(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'runqueue-torture-'))
  const path = join(folder, 'queue.db')
  return {
    url: `file:${path}`,
    ordered: true,
    openReader: () => openReader(path),
    wasAway: () => false,
    crash: null,
    async remove(keep) {
      if (keep) return path
      rmSync(folder, { recursive: true, force: true })
      return null
    },
  }
}

/** What was killed may still hold its shared memory for a moment. */
const STARTS = 50
const START_AGAIN_MS = 100
/** A server does not take longer to start, or to find that it cannot. */
const AWAY_MS = 15_000
/** It stays away so long. */
const DOWN_MS = 400

async function openServer(): Promise<Store> {
  // Pages whole: a write that SIGKILL meets may end in the midst of one.
  const server = await createPostgresServer({ fsync: 'off' })
  await server.start()
  let away = Number.NEGATIVE_INFINITY
  return {
    url: server.url,
    ordered: false,
    openReader: () => openPostgresReader(server.url),
    wasAway: () => performance.now() - away < AWAY_MS,
    async crash(random) {
      away = performance.now()
      await (random() < 0.5 ? server.kill() : server.stop('SIGQUIT'))
      await setTimeout(random() * DOWN_MS)
      await startAgain(server)
      away = performance.now()
    },
    async remove() {
      await server.remove()
      return null
    },
  }
}

async function startAgain(server: PostgresServer): Promise<void> {
  for (let starts = 1; ; starts += 1) {
    try {
      return await server.start()
    } catch (error) {
      if (starts === STARTS) throw error
      await setTimeout(START_AGAIN_MS)
    }
  }
}
