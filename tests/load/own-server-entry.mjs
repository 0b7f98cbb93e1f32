/** A harness that has started its server, and then does nothing. */
import { startOwnServer } from '../../dist/load/own-server.js'

process.once('disconnect', () => process.exit())
await startOwnServer([])
process.send?.({ up: true })
