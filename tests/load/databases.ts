import { readdirSync } from 'node:fs'

/** The databases of servers under load that put them into this folder for temporary files. */
export const databasesIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('runqueue-load-'))
