import { addRuns } from './add-runs.ts'
import { general } from './general.ts'
import { setupOf } from './support/service.ts'
import { sqliteDatabase } from './support/sqlite.ts'

const setup = setupOf(sqliteDatabase)
general(setup)
addRuns(setup)
