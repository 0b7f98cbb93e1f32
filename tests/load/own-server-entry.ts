/** A harness that has started its server, and then does nothing. */
import { startOwnServer } from '../../src/load/own-server.ts'

process.once('disconnect', () => process.exit())
await startOwnServer(process.execArgv)
process.send?.({ up: true })
