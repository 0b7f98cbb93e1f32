/** What is stored for how long. */
import type { Storage } from '../queue/storage.ts'
import type { Database } from './database.ts'
import { prune } from './prune.ts'

export const createStorage = (database: Database): Storage => ({
  prune: (options) => database.transaction((on) => prune(on, options)),
  /** Room that deleted rows left is found and used again by PostgreSQL's own vacuum. */
  giveBack: async () => 0,
})
