/** Databases that cannot be opened, in words that say what to do; and several that open at once. */
import pg from 'pg'
import { expect, inject, it, onTestFinished } from 'vitest'
import { openPostgresEngine } from '../../src/postgres/engine.ts'
import { DatabaseOpenError } from '../../src/queue/errors.ts'
import { caught } from '../support/errors.ts'
import { databaseUrl } from './support/global-setup.ts'

const urlOf = (database: string) => databaseUrl(inject('postgresUrl'), database)

async function refusal(url: string): Promise<string> {
  const error = await caught(openPostgresEngine({ url }))
  expect(error).toBeInstanceOf(DatabaseOpenError)
  return (error as Error).message
}

async function emptyDatabase(name: string, options = ''): Promise<pg.Client> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') })
  await admin.connect()
  await admin.query(`CREATE DATABASE ${name} ${options}`)
  onTestFinished(async () => {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await admin.end()
  })
  return admin
}

it('one that is not there', async () => {
  expect(await refusal(urlOf('nowhere'))).toMatch(/createdb/)
})

it('a server that is not there', async () => {
  const url = 'postgres://user:secret@127.0.0.1:1/queue'
  const message = await refusal(url)
  expect(message).toMatch(
    /^cannot open postgres:\/\/127\.0\.0\.1:1\/queue .*Check that PostgreSQL runs/,
  )
  expect(message).not.toContain('secret')
})

it('one in which this user may create no schema', async () => {
  const admin = await emptyDatabase('not_mine')
  await admin.query('CREATE ROLE guest LOGIN')
  onTestFinished(async () => void (await admin.query('DROP ROLE guest')))
  const url = new URL(urlOf('not_mine'))
  url.username = 'guest'
  expect(await refusal(url.href)).toMatch(/GRANT CREATE ON DATABASE/)
})

it('one whose encoding does not hold every text', async () => {
  await emptyDatabase('narrow', "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
  expect(await refusal(urlOf('narrow'))).toMatch(/LATIN1.*ENCODING 'UTF8'/)
})

it('one that a newer version wrote', async () => {
  const admin = await emptyDatabase('newer')
  const engine = await openPostgresEngine({ url: urlOf('newer') })
  await engine.close()
  const shell = new pg.Client({ connectionString: urlOf('newer') })
  await shell.connect()
  await shell.query(
    "INSERT INTO runqueue.__drizzle_migrations (hash, created_at) VALUES ('x', 9000000000000)",
  )
  await shell.end()
  expect(await refusal(urlOf('newer'))).toMatch(/newer version of runqueue/)
  expect(admin).toBeDefined()
})

it('a new one that several open at once is migrated once, beside what others keep in it', async () => {
  await emptyDatabase('shared')
  const shell = new pg.Client({ connectionString: urlOf('shared') })
  await shell.connect()
  onTestFinished(() => shell.end())
  await shell.query('CREATE TABLE sessions (of_another_program text)')
  const url = urlOf('shared')
  const engines = await Promise.all([1, 2, 3].map(() => openPostgresEngine({ url })))
  for (const engine of engines) {
    expect(await engine.runs.pending(1)).toEqual([])
    await engine.close()
  }
  const { rows } = await shell.query(
    'SELECT count(*)::int AS applied, count(DISTINCT created_at)::int AS distinct FROM runqueue.__drizzle_migrations',
  )
  expect(rows[0].applied).toBe(rows[0].distinct)
  expect((await shell.query('SELECT * FROM sessions')).fields).toHaveLength(1)
})
