/** Holds what the service answers against what /openapi.json says of it. */
import type { Server, ServerResponse } from 'node:http'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { apiDocument } from '../../../src/http/api/document.ts'

interface JsonSchema {
  [keyword: string]: unknown
}

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>
}

const document = apiDocument('0.0.0')
/** Without parameters first: `/runs/batch` is not a run. */
const PATHS = Object.entries(document.paths ?? {})
  .sort(([a], [b]) => a.split('{').length - b.split('{').length)
  .map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replace(/\./g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
    operations: operations as Record<string, Operation>,
  }))

// As strict as it gets: what is not described may not be there, which clients are not to rely on.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(closed(document) as JsonSchema, 'api')
const validators = new Map<string, ValidateFunction>()

/** The same with objects that hold no more than their properties. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const copy: JsonSchema = Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      key === 'example' ? member : closed(member),
    ]),
  )
  const isClosed = 'properties' in copy && 'type' in copy && !('additionalProperties' in copy)
  return isClosed ? { ...copy, additionalProperties: false } : copy
}

function validator(schema: JsonSchema): ValidateFunction {
  const key = JSON.stringify(schema)
  const compiled =
    validators.get(key) ??
    ajv.compile(
      closed(JSON.parse(key.replaceAll('"#/components/', '"api#/components/'))) as JsonSchema,
    )
  validators.set(key, compiled)
  return compiled
}

/** @returns what is wrong with a value; null where it is as the schema says. */
export function faultOf(schema: object, value: unknown): string | null {
  const validate = validator(schema as JsonSchema)
  return validate(value) ? null : ajv.errorsText(validate.errors)
}

/** Of the dashboard: its pages are for people, and what they are made of is their own business. */
export const isPage = (path: string): boolean => path === '/' || path.startsWith('/dashboard/')

const JSON_TYPE = 'application/json'
const UNKNOWN_ROUTE = { status: 404, code: 'not_found' }
const UNKNOWN_METHOD = { status: 405, code: 'method_not_allowed' }

/**
 * Looks at what the server writes, without being in its way.
 * @returns what nobody who read the description would expect of those answers; more comes as they do
 */
export function observeAnswers(server: Server): string[] {
  const undescribed: string[] = []
  server.prependListener('request', ({ method = '', url = '' }, outgoing: ServerResponse) => {
    let type: string | null = null
    let text = ''
    spy(outgoing, 'writeHead', (_, headers) => {
      type = contentTypeOf(headers)
    })
    for (const name of ['write', 'end'] as const) {
      spy(outgoing, name, (chunk) => {
        // Streams may have no end, and what they say is no JSON.
        if (type !== JSON_TYPE) return
        if (typeof chunk === 'string') text += chunk
        else if (chunk instanceof Uint8Array) text += Buffer.from(chunk).toString()
      })
    }
    outgoing.once('close', () => {
      // Cut off, or never begun: that is nobody's answer.
      if (!outgoing.writableFinished) return
      const { statusCode: status } = outgoing
      const { pathname } = new URL(url, 'http://localhost')
      if (isPage(pathname)) return
      const body: unknown = text === '' ? undefined : JSON.parse(text)
      const fault = faultOfAnswer({ method, pathname, status, type, body })
      if (fault) undescribed.push(`${method} ${pathname} answered ${status}: ${fault}`)
    })
  })
  return undescribed
}

function spy(
  outgoing: ServerResponse,
  name: 'writeHead' | 'write' | 'end',
  note: (...args: unknown[]) => void,
): void {
  const original = outgoing[name].bind(outgoing) as (...args: unknown[]) => never
  outgoing[name] = (...args: unknown[]) => {
    note(...args)
    return original(...args)
  }
}

/** @param headers as `writeHead` takes them: an object, or names and values by turns. */
function contentTypeOf(headers: unknown): string | null {
  const pairs = Array.isArray(headers)
    ? headers.map((name, index) => [name, headers[index + 1]])
    : Object.entries(headers ?? {})
  const [, type] = pairs.find(([name]) => String(name).toLowerCase() === 'content-type') ?? []
  return type === undefined ? null : (String(type).split(';')[0] ?? null)
}

interface SeenAnswer {
  method: string
  pathname: string
  status: number
  type: string | null
  body: unknown
}

function faultOfAnswer(seen: SeenAnswer): string | null {
  const { method, pathname, status, type } = seen
  if (method === 'OPTIONS' && status === 204) return null
  const path = PATHS.find(({ pattern }) => pattern.test(pathname))
  const operation = path?.operations[method === 'HEAD' ? 'get' : method.toLowerCase()]
  if (!operation) return faultOfRefusal(seen, path ? UNKNOWN_METHOD : UNKNOWN_ROUTE)
  const answer = operation.responses[status]
  if (!answer) return 'a status that is not described'
  const content = answer.content ?? {}
  if (type === null) return Object.keys(content).length > 0 ? 'no body' : null
  const described = content[type]
  if (!described) return `${type}, which is not described`
  return type === JSON_TYPE && method !== 'HEAD' ? faultOf(described.schema, seen.body) : null
}

function faultOfRefusal(seen: SeenAnswer, expected: typeof UNKNOWN_ROUTE): string | null {
  if (seen.status !== expected.status) return 'a route that is not described'
  if (seen.method === 'HEAD') return null
  return faultOf(
    {
      allOf: [
        { $ref: '#/components/schemas/Error' },
        { properties: { code: { const: expected.code } } },
      ],
    },
    seen.body,
  )
}
