/** Requests for every route of the app, whichever it has. */
import fc from 'fast-check'
import { z } from 'zod'
import type { Routes } from '../../src/http/api/route.ts'
import { ROUTES } from '../../src/http/api/routes.ts'
import type { App } from '../../src/http/app.ts'
import * as schemas from '../../src/http/schemas.ts'
import { bodyText, knownOr, type Schema, wildText } from './values.ts'

export interface WildRequest {
  /** As the app names it. */
  route: string
  method: string
  /** With `~run~` and the like for ids that exist. */
  path: string
  headers: Record<string, string>
  body: string | null
}

const DESCRIBED: Routes = Object.assign({}, ...Object.values(ROUTES))

const jsonSchema = (schema: z.ZodType): Schema =>
  z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as Schema

const ALL_SCHEMAS = Object.values(schemas).filter((each) => each instanceof z.ZodType)
const namesOf = (schema: z.ZodType) => Object.keys(jsonSchema(schema).properties ?? {})
const ALL_NAMES = [...new Set(ALL_SCHEMAS.flatMap(namesOf))]

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'QUERY']

export function wildRequests(app: App): fc.Arbitrary<WildRequest> {
  const routes = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => ({ route: `${method} ${path}`, method, path }))
  return fc.constantFrom(...routes).chain(({ route, method, path }) =>
    fc.record({
      route: fc.constant(route),
      method: mostly(fc.constant(method), fc.constantFrom(...METHODS)),
      path: fc.tuple(pathText(path), queryText(route)).map(([text, query]) => text + query),
      headers: wildHeaders,
      body: method === 'GET' || method === 'DELETE' ? rarely(bodyOf(route)) : bodyOf(route),
    }),
  )
}

const mostly = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: rare })

const rarely = <T>(rare: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  mostly<T | null>(fc.constant(null), rare)

/** A route that reads none gets bodies of all kinds. */
function bodyOf(route: string): fc.Arbitrary<string> {
  const own = DESCRIBED[route]?.body
  const others = fc.constantFrom(...ALL_SCHEMAS).chain((each) => bodyText(jsonSchema(each)))
  return own === undefined ? others : mostly(bodyText(jsonSchema(own)), others)
}

const RAW_PIECES = [
  '%',
  '%00',
  '%2f',
  '%ud800',
  '%ff',
  '%ed%a0%80',
  '..',
  '.',
  'a%0d%0ab',
  '~',
  '+',
]

function pathText(path: string): fc.Arbitrary<string> {
  const pieces = path.split('/').map((piece) => {
    if (!piece.startsWith(':')) return mostly(fc.constant(piece), fc.constantFrom('', piece, 'x'))
    const encoded = wildText.map((text) => encodeURIComponent(text.toWellFormed()))
    return knownOr(piece.slice(1), fc.oneof(encoded, fc.constantFrom(...RAW_PIECES)))
  })
  return fc.tuple(...pieces).map((each) => each.join('/'))
}

const queryValue = fc.oneof(
  fc.constantFrom('', '0', '1', '-1', '1e9', 'NaN', 'Infinity', '0x10', '1,2', 'pending,', 'true'),
  fc.constantFrom('~run~', '~session~', '~runner~', ...RAW_PIECES),
  wildText.map((text) => encodeURIComponent(text.toWellFormed())),
)

function queryText(route: string): fc.Arbitrary<string> {
  const schema = DESCRIBED[route]?.query
  const names = schema === undefined ? [...ALL_NAMES, ''] : [...namesOf(schema), 'x']
  const pair = fc
    .constantFrom(...names)
    .chain((name) => knownOr(name, queryValue).map((value) => `${name}=${value}`))
  return fc
    .array(pair, { maxLength: 3 })
    .map((pairs) => (pairs.length === 0 ? '' : `?${pairs.join('&')}`))
}

/** Only what a header may hold: what it may not, is sent byte by byte elsewhere. */
const headerValue = fc.oneof(
  fc.constantFrom('', '0', '-1', '*/*', 'gzip', 'x'.repeat(300), 'bytes=0-', '"etag"', 'é'),
  fc.string({ maxLength: 30 }).map((text) => text.replace(/[^\x20-\x7e]/g, '').trim()),
)

const wildHeaders: fc.Arbitrary<Record<string, string>> = fc
  .tuple(
    mostly(
      fc.constant('application/json'),
      fc.constantFrom('text/plain', 'application/json; charset=latin1', '', 'multipart/form-data'),
    ),
    fc.dictionary(
      fc.constantFrom(
        ...['accept', 'accept-encoding', 'authorization', 'cookie', 'origin', 'range', 'x-a'],
        ...['idempotency-key', 'if-none-match', 'last-event-id', 'x-forwarded-for'],
      ),
      headerValue,
      { maxKeys: 3 },
    ),
  )
  .map(([type, others]) => ({ ...others, 'content-type': type }))
