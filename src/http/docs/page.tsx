/**
 * The API for people, made of the OpenAPI document on the server: no script, nothing to load. The
 * pages that others make of such a document take 8 to 12 MB installed, scripts in the browser, and
 * styles that a strict Content-Security-Policy refuses.
 */
import { createHash } from 'node:crypto'
import { raw } from 'hono/html'
import { Fields, type Schema } from './schema.tsx'
import { STYLE } from './style.ts'
import { Words } from './words.tsx'

interface Content {
  content?: Record<string, { schema: Schema; example?: unknown }>
}

interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  parameters?: {
    name: string
    in: string
    required?: boolean
    schema: Schema
    description?: string
  }[]
  requestBody?: Content
  responses: Record<string, Content & { description: string }>
}

export interface Document {
  info: { title: string; version: string; description: string }
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

interface Route extends Operation {
  method: string
  path: string
}

const hash = createHash('sha256').update(STYLE).digest('base64')
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${hash}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function docsPage(document: Document): string {
  const { info, tags, components } = document
  const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, each]): Route => ({ ...each, method, path })),
  )
  const groups = tags.map(({ name }) => ({
    name,
    routes: routes.filter((route) => route.tags.includes(name)),
  }))
  const page = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{info.title} API</title>
        <style>{raw(STYLE)}</style>
      </head>
      <body>
        <a class="skip" href="#start">
          To the content
        </a>
        <nav aria-label="Routes">
          {groups.map(({ name, routes }) => (
            <>
              <h2>{name}</h2>
              {routes.map((route) => (
                <a href={`#${route.operationId}`} title={route.summary}>
                  <Method method={route.method} />
                  <span>{route.path}</span>
                </a>
              ))}
            </>
          ))}
          <h2>Shapes</h2>
          {Object.keys(components.schemas).map((name) => (
            <a class="shape" href={`#${name}`}>
              {name}
            </a>
          ))}
        </nav>
        <main id="start">
          <h1>
            {info.title} {info.version}
          </h1>
          <p>
            {info.description} This page is made of <a href="/openapi.json">/openapi.json</a>, from
            which tools make clients and forms.
          </p>
          {groups.map((group) => (
            <>
              <h2>{group.name}</h2>
              {group.routes.map((route) => (
                <RouteSection route={route} />
              ))}
            </>
          ))}
          <h2>Shapes</h2>
          {Object.entries(components.schemas).map(([name, schema]) => (
            <section id={name}>
              <h3>{name}</h3>
              {schema.description && <Text text={schema.description} />}
              <Fields schema={schema} />
              {schema.example !== undefined && <Example value={schema.example} />}
            </section>
          ))}
        </main>
      </body>
    </html>
  )
  return `<!doctype html>\n${page}`
}

function RouteSection({ route }: { route: Route }) {
  const { operationId, method, path, summary, description, parameters = [] } = route
  const body = route.requestBody?.content?.['application/json']
  const answers = Object.entries(route.responses)
  const isRefusal = ([status]: [string, unknown]) => Number(status) >= 400
  return (
    <section id={operationId}>
      <h3>{summary}</h3>
      <p class="route">
        <Method method={method} /> <code>{path}</code>
      </p>
      <Text text={description} />
      {parameters.length > 0 && (
        <>
          <h4>Parameters</h4>
          <Fields schema={asObject(parameters)} />
        </>
      )}
      {body && (
        <>
          <h4>Body</h4>
          <Fields schema={body.schema} />
        </>
      )}
      <h4>Example</h4>
      <pre>{curl(method, path, body?.example)}</pre>
      <h4>Answers</h4>
      {answers
        .filter((answer) => !isRefusal(answer))
        .map(([status, answer]) => (
          <AnswerDetails status={status} answer={answer} />
        ))}
      <h4>Refusals</h4>
      {answers.filter(isRefusal).map(([status, answer]) => (
        <AnswerDetails status={status} answer={answer} />
      ))}
    </section>
  )
}

const asObject = (parameters: NonNullable<Operation['parameters']>): Schema => ({
  properties: Object.fromEntries(
    parameters.map(({ name, in: place, schema }) => [
      name,
      {
        ...schema,
        description: [`In the ${place}.`, schema.description].filter(Boolean).join(' '),
      },
    ]),
  ),
  required: parameters.filter(({ required }) => required).map(({ name }) => name),
})

function AnswerDetails({ status, answer }: { status: string; answer: Route['responses'][string] }) {
  const [type, media] = Object.entries(answer.content ?? {})[0] ?? []
  if (Number(status) >= 400) {
    return (
      <details>
        <summary>
          <b class="bad">{status}</b>{' '}
          <code>
            {[...answer.description.matchAll(/`(\w+)`:/g)].map(([, code]) => code).join(', ')}
          </code>
        </summary>
        <Text text={answer.description} />
      </details>
    )
  }
  return (
    <details>
      <summary>
        <b class="good">{status}</b> {answer.description}
      </summary>
      {media ? <Fields schema={media.schema} /> : <p>No body.</p>}
      {type !== 'application/json' && type && <p>{type}</p>}
      {media?.example !== undefined && <Example value={media.example} />}
    </details>
  )
}

const Method = ({ method }: { method: string }) => (
  <b class={`method ${method}`}>{method.toUpperCase()}</b>
)

const Example = ({ value }: { value: unknown }) => <pre>{JSON.stringify(value, null, 2)}</pre>

/** Paragraphs. */
const Text = ({ text }: { text: string }) => (
  <>
    {text.split('\n\n').map((paragraph) => (
      <p>
        <Words text={paragraph} />
      </p>
    ))}
  </>
)

function curl(method: string, path: string, example: unknown): string {
  const parts = [
    `curl -s "$RUNQUEUE_URL${path}"`,
    ...(method === 'get' || (method === 'post' && example !== undefined)
      ? []
      : [`-X ${method.toUpperCase()}`]),
    ...(example === undefined
      ? []
      : [`-H 'content-type: application/json'`, `-d '${JSON.stringify(example)}'`]),
  ]
  return parts.join(' \\\n  ')
}
