/** Another program that takes the write lock of a database, and gives it back, as it is told. */
import { loadDriver } from '../../dist/sqlite/driver.js'

const [path = ''] = process.argv.slice(2)
const Driver = await loadDriver()
const client = new Driver(path)

process.on('message', ({ sql }) => {
  client.exec(sql)
  process.send?.({ done: sql })
})
process.send?.({ done: 'opened' })
