// A process of its own: copying cannot be interrupted from within, and this one can be killed.
// JavaScript, so that Node starts it from the sources and from the build alike.
const [driver, source, target] = process.argv.slice(2)
const { default: Database } = await import(driver)

const lastMigration = (client) =>
  client.prepare('SELECT max(created_at) FROM __drizzle_migrations').pluck().get()

/** @returns what the copy must have in common with it */
function copy() {
  const client = new Database(source, { fileMustExist: true, timeout: 10_000 })
  try {
    const [pages, free, bytes] = ['page_count', 'freelist_count', 'page_size'].map((name) =>
      client.pragma(name, { simple: true }),
    )
    process.send({ what: 'begin', bytes: (pages - free) * bytes })
    const migration = lastMigration(client)
    client.prepare('VACUUM INTO ?').run(target)
    return migration
  } finally {
    client.close()
  }
}

function check(migration) {
  process.send({ what: 'check' })
  const client = new Database(target, { readonly: true, fileMustExist: true })
  try {
    const faults = client.pragma('integrity_check(10)').map((row) => row.integrity_check)
    if (faults.join() !== 'ok') throw new Error(`the copy is damaged: ${faults.join('; ')}`)
    if (lastMigration(client) !== migration) throw new Error('the copy has another schema')
    const count = (table) => client.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
    return { runs: count('runs'), sessions: count('sessions'), runners: count('runners') }
  } finally {
    client.close()
  }
}

try {
  process.send({ what: 'done', counts: check(copy()) })
} catch ({ code, message }) {
  process.send({ what: 'failed', code, message })
}
process.disconnect()
