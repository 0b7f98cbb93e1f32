/**
 * Which better-sqlite3: 12 aborts on Node from 24.19 on (its Statement destructor), 13 needs 22.
 * Version 13 is the dependency (it ships its binaries, and Drizzle imports it), version 12 an
 * optional one under another name. Importing 13 on Node 20 is harmless, opening with it is not.
 */
import type { Database as Client, Options } from 'better-sqlite3'

type Driver = new (path: string, options?: Options) => Client

export type { Client }

const NEEDS_OLD_DRIVER = Number(process.versions.node.split('.')[0]) < 22
export const driverName = NEEDS_OLD_DRIVER ? 'better-sqlite3-node20' : 'better-sqlite3'

let driver: Driver | undefined

/** Loaded on first use, so that commands which never open a database do not need one. */
export async function loadDriver(): Promise<Driver> {
  if (driver) return driver
  try {
    const module = (await import(driverName)) as { default: Driver }
    driver = module.default
    return driver
  } catch (cause) {
    throw new Error(
      `the SQLite driver ${driverName} is not installed for Node ${process.versions.node}: run npm install again`,
      { cause },
    )
  }
}
