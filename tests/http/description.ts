/** What the API says of itself. That its answers are as it says, every test here sees to. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ROUTES } from '../../src/http/api/routes.ts'
import { faultOf, isPage } from './support/described.ts'
import { type Setup, shared } from './support/service.ts'

interface Media {
  schema: object
  example?: unknown
}
interface Part {
  content?: Record<string, Media>
}
interface Operation {
  operationId: string
  requestBody?: Part
  responses: Record<string, Part>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { example?: unknown }> }
}

export function describeDescription(setup: Setup): void {
  const given = shared(setup)
  const document = async () => (await (await given()).get<Document>('/openapi.json')).body
  const operations = async () => Object.values((await document()).paths).flatMap(Object.values)

  describe('/openapi.json', () => {
    test('describes every route that there is, and no other', async () => {
      const { app } = await given()
      const mounted = app.routes
        .filter(({ path }) => !isPage(path))
        .map(({ method, path }) => `${method} ${path}`)
      const described = Object.values(ROUTES).flatMap(Object.keys)
      expect(described.sort()).toEqual(mounted.sort())
      const { openapi, paths } = await document()
      expect(openapi).toBe('3.1.0')
      const operationsOf = ([path, methods]: [string, object]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
      expect(Object.entries(paths).flatMap(operationsOf).sort()).toEqual(
        mounted.map((route) => route.replace(/:(\w+)/g, '{$1}')).sort(),
      )
    })

    test('names each operation by a name of its own', async () => {
      const names = (await operations()).map(({ operationId }) => operationId)
      expect(new Set(names).size).toBe(names.length)
    })

    test('has examples that are as it says', async () => {
      const { components } = await document()
      const faults: [string, string][] = []
      let examples = 0
      const check = (place: string, { schema, example }: Media) => {
        if (example === undefined) return
        examples += 1
        const fault = faultOf(schema, example)
        if (fault) faults.push([place, fault])
      }
      for (const { operationId, requestBody, responses } of await operations()) {
        const parts: Part[] = [...Object.values(responses), ...(requestBody ? [requestBody] : [])]
        const media = parts.flatMap(({ content = {} }) => Object.values(content))
        for (const each of media) check(operationId, each)
      }
      for (const [name, { example }] of Object.entries(components.schemas)) {
        check(name, { schema: { $ref: `#/components/schemas/${name}` }, example })
      }
      expect(faults).toEqual([])
      expect(examples).toBeGreaterThan(30)
    })

    test('says what each field and parameter is', async () => {
      const without: string[] = []
      let fields = 0
      const look = (node: object, place: string): void => {
        const { properties = {}, parameters = [] } = node as {
          properties?: Record<string, { description?: string }>
          parameters?: { name: string; description?: string }[]
        }
        const named = Array.isArray(parameters) ? parameters.map((each) => [each.name, each]) : []
        for (const [name, field] of [...Object.entries(properties), ...named] as const) {
          fields += 1
          if (!(field as { description?: string }).description) without.push(`${place} ${name}`)
        }
        for (const [key, member] of Object.entries(node)) {
          if (key === 'example' || typeof member !== 'object' || member === null) continue
          look(member, `${place}/${key}`)
        }
      }
      look(await document(), '')
      expect(without).toEqual([])
      expect(fields).toBeGreaterThan(300)
    })

    test('has an example of each body that a request may hold', async () => {
      const without = (await operations()).filter(
        ({ requestBody }) => requestBody?.content?.['application/json']?.example === undefined,
      )
      expect(without.filter(({ requestBody }) => requestBody)).toEqual([])
    })
  })
  describe('/docs', () => {
    test('shows every route, with what it refuses, and every shape', async () => {
      const { text } = await (await given()).get('/docs')
      const { components } = await document()
      for (const operation of await operations()) {
        expect(text).toContain(`<section id="${operation.operationId}">`)
        expect(text).toContain(operation.summary)
      }
      for (const name of Object.keys(components.schemas)) {
        expect(text).toContain(`<section id="${name}">`)
      }
      expect(text).toContain('<code>run_wrong_status</code>')
    })

    test('loads nothing, and lets nothing be loaded or run', async () => {
      const { text, headers } = await (await given()).get('/docs')
      const links = [...text.matchAll(/\b(?:src|href|action)="([^"]*)"/g)].map(([, link]) => link)
      expect(links.filter((link) => !/^#\w+$/.test(link ?? ''))).toEqual(['/openapi.json'])
      expect(text).not.toMatch(/<script|<link|@import|url\(/)
      expect(text).not.toMatch(/ style="| on\w+="/)
      const [style = ''] = /(?<=<style>)[^<]*/.exec(text) ?? []
      const hash = createHash('sha256').update(style).digest('base64')
      const policy = headers.get('content-security-policy')?.split('; ')
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain(`style-src 'sha256-${hash}'`)
    })

    test('links lead to where they say', async () => {
      const { text } = await (await given()).get('/docs')
      const ids = [...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id)
      expect(new Set(ids).size).toBe(ids.length)
      for (const [, id] of text.matchAll(/href="#([^"]*)"/g)) expect(ids).toContain(id)
    })
  })
}
