/** Opens the engine on a client that notes the statements it prepares and the ones it runs. */
import type { Engine } from '../../src/queue/engine.ts'
import { ChangeSignal } from '../../src/sqlite/change-signal.ts'
import { CommitLane } from '../../src/sqlite/commit-lane.ts'
import { type Database, openDatabase } from '../../src/sqlite/database.ts'
import type { Client } from '../../src/sqlite/driver.ts'
import { prepareEngine } from '../../src/sqlite/engine.ts'
import { openWatcher } from '../../src/sqlite/file.ts'

export interface Ran {
  sql: string
  parameters: unknown[]
}

export interface RecordedEngine extends Engine, Database {
  /** The texts of all statements that were prepared. */
  prepared: ReadonlySet<string>
  /** Takes what ran since it was last taken. */
  takeRan(): Ran[]
}

export async function openRecorded(url: string): Promise<RecordedEngine> {
  const database = await openDatabase(url, 'normal')
  const prepared = new Set<string>()
  const ran: Ran[] = []
  record(database.client, prepared, ran)
  const { orm, client } = database
  const changes = new ChangeSignal(await openWatcher(database.path), orm)
  const lane = new CommitLane(client, { busyDeadlineMs: 1000, onCommit: () => changes.nudge() })
  return {
    ...database,
    ...prepareEngine({ orm, client }, lane, {}, () => {}),
    changes,
    prepared,
    takeRan: () => ran.splice(0),
    async close() {
      changes.close()
      client.close()
    },
  }
}

function record(client: Client, prepared: Set<string>, ran: Ran[]): void {
  const prepare = client.prepare.bind(client)
  client.prepare = ((sql: string) => {
    prepared.add(sql)
    const statement = prepare(sql)
    for (const method of ['run', 'get', 'all'] as const) {
      const original = statement[method].bind(statement) as (...given: unknown[]) => unknown
      const recorded = (...parameters: unknown[]) => {
        ran.push({ sql, parameters })
        return original(...parameters)
      }
      Object.defineProperty(statement, method, { value: recorded })
    }
    return statement
  }) as Client['prepare']
}

/** How SQLite goes about a statement, a line for each step. */
export function explain({ client }: Pick<Database, 'client'>, { sql, parameters }: Ran): string[] {
  const rows = client.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters)
  return (rows as { detail: string }[]).map(({ detail }) => detail)
}
