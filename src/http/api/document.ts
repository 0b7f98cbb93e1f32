/**
 * The OpenAPI document of the API. The library describes only: its middlewares, which validate too,
 * would read and check each request a second time.
 */
import { createRoute, OpenAPIHono, type RouteConfig } from '@hono/zod-openapi'
import { z } from 'zod'
import { ACCESS, type Access } from '../access.ts'
import { type ErrorCode, STATUS } from '../errors.ts'
import { MEANINGS } from './error-codes.ts'
import { explainFields } from './glossary.ts'
import type { Answer, RouteDescription } from './route.ts'
import { ROUTES } from './routes.ts'
import { refusal } from './shapes.ts'

export type ApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>

const EVERYWHERE: readonly ErrorCode[] = [
  ...(['malformed_request', 'request_timeout', 'headers_too_large'] as const),
  ...(['internal_error', 'too_many_connections'] as const),
  ...(['database_busy', 'database_unavailable', 'database_full'] as const),
]
const GUARDED: readonly ErrorCode[] = [
  ...(['token_required', 'invalid_token', 'insufficient_scope'] as const),
  ...(['host_not_allowed', 'origin_not_allowed'] as const),
]
const OF_BODIES: readonly ErrorCode[] = [
  ...(['body_broken_off', 'body_too_large', 'unsupported_media_type'] as const),
]

export function apiDocument(version: string): ApiDocument {
  const api = new OpenAPIHono()
  const registry = api.openAPIRegistry
  // By Zod itself: the library would first have to change Zod, for all that use it.
  const { $schema: _, ...schema } = z.toJSONSchema(refusal)
  registry.registerComponent('schemas', 'Error', schema as object)
  registry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description:
      'As `runqueue token create` prints it. As long as there is none, none is needed on the machine of the server.',
  })
  for (const [tag, routes] of Object.entries(ROUTES)) {
    for (const [name, route] of Object.entries(routes)) {
      registry.registerPath(createRoute(routeConfig(name, route, tag)))
    }
  }
  const document = api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'runqueue',
      version,
      description: 'A queue that hands runs to the runners that can do them.',
      license: { name: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: Object.keys(ROUTES).map((name) => ({ name })),
  })
  explainFields(document)
  return document
}

function routeConfig(name: string, route: RouteDescription, tag: string): RouteConfig {
  const [method = '', path = ''] = name.split(' ')
  const names = [...path.matchAll(/:(\w+)/g)].map(([, parameter = '']) => parameter)
  const access = ACCESS[name] ?? 'open'
  const { summary, query, headers, body, example } = route
  return {
    method: method.toLowerCase() as RouteConfig['method'],
    path: path.replace(/:(\w+)/g, '{$1}'),
    operationId: operationId(method, path),
    tags: [tag],
    summary,
    description: [route.description, whoMay(access)].filter(Boolean).join('\n\n'),
    security: access === 'open' ? [] : [{ token: [] }],
    request: {
      ...(names.length > 0 && {
        params: z.object(Object.fromEntries(names.map((each) => [each, z.string()]))),
      }),
      ...(query && { query }),
      ...(headers && { headers }),
      ...(body && {
        body: {
          required: true,
          content: {
            'application/json': { schema: body, ...(example !== undefined && { example }) },
          },
        },
      }),
    },
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, answer]) => [status, response(answer)]),
      ),
      ...refusals([
        ...(route.errors ?? []),
        ...(access === 'open' ? [] : [...GUARDED, ...EVERYWHERE]),
        ...(body ? OF_BODIES : []),
        ...(body || query || headers || names.length > 0 ? (['validation_error'] as const) : []),
      ]),
    },
  }
}

/** `GET /runs/:run_id` is `get_runs_run_id`. */
const operationId = (method: string, path: string): string =>
  `${method.toLowerCase()}${path.replace(/\W+/g, '_')}`

function whoMay(access: Access | 'open'): string {
  if (access === 'open') return 'Needs no token.'
  const roles = [...access.roles, 'admin'].map((role) => `\`${role}\``).join(' or ')
  const own = access.self ? `; with \`self=true\`, ${access.self.roles.join(' or ')}` : ''
  return `Needs a token of the role ${roles}${own}.`
}

function response({ description, schema, example, contentType }: Answer) {
  if (contentType) return { description, content: { [contentType]: { schema: z.string() } } }
  if (!schema) return { description }
  const content = { schema, ...(example !== undefined && { example }) }
  return { description, content: { 'application/json': content } }
}

function refusals(codes: readonly ErrorCode[]): RouteConfig['responses'] {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of [...new Set(codes)].sort()) {
    byStatus.set(STATUS[code], [...(byStatus.get(STATUS[code]) ?? []), code])
  }
  return Object.fromEntries([...byStatus].map(([status, each]) => [status, refusalOf(each)]))
}

function refusalOf(codes: ErrorCode[]) {
  const schema = {
    allOf: [{ $ref: '#/components/schemas/Error' }, { properties: { code: { enum: codes } } }],
  }
  return {
    description: codes.map((code) => `\`${code}\`: ${MEANINGS[code]}.`).join('\n\n'),
    content: { 'application/json': { schema } },
  }
}
