/** Another program that takes the write lock of a database, and gives it back, as it is told. */
import { loadDriver } from '../../src/sqlite/driver.ts'

const [path = ''] = process.argv.slice(2)
const Driver = await loadDriver()
const client = new Driver(path)

process.on('message', ({ sql }: { sql: string }) => {
  client.exec(sql)
  process.send?.({ done: sql })
})
process.send?.({ done: 'opened' })
