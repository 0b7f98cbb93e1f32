/** Programs that tests start as processes of their own. */
import { readdirSync } from 'node:fs'

/** What Node needs to run TypeScript modules as they are. */
export const FROM_SOURCES = ['--import', 'tsx']

/** The databases of servers under load that put them into this folder for temporary files. */
export const databasesIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('runqueue-load-'))
