/** Values for requests: as a schema wants them, nearly so, and wild ones. JSON is made as text, so
 * that what no JSON.stringify writes (duplicate keys, `__proto__`, 1e999) can be sent, too. */
import fc from 'fast-check'

/** Stand for ids that exist when the request goes out. */
export const KNOWN = ['~run~', '~session~', '~runner~', '~token~'] as const
export type Known = (typeof KNOWN)[number]

const KNOWN_BY_NAME: Record<string, Known> = {
  runner_id: '~runner~',
  run_id: '~run~',
  session_id: '~session~',
  parent_session_id: '~session~',
  claim_token: '~token~',
}

/** Words that are meant though the schema takes any. */
const STATUSES = ['finished', 'failed', 'stopped', 'pending,running']

/** Mostly what is known by this name, or any string where nothing is. */
export const knownOr = (name: string, other: fc.Arbitrary<string>): fc.Arbitrary<string> => {
  const known = KNOWN_BY_NAME[name]
  const words = known === undefined ? (name === 'status' ? STATUSES : []) : [known]
  if (words.length === 0) return other
  return fc.oneof({ weight: 6, arbitrary: fc.constantFrom<string>(...words) }, other)
}

const WILD_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'a\udfffb',
  '\u2028',
  '\r\nX-Injected: 1',
  '😀'.repeat(50),
  'x'.repeat(5000),
  "'; DROP TABLE runs; --",
  '%00',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'null',
  '-1',
]

export const wildText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...WILD_TEXTS),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
)

const nested = (depth: number, [open, close]: readonly [string, string]) =>
  open.repeat(depth) + (open.endsWith(':') ? '1' : '') + close.repeat(depth)

const WILD_JSON = [
  ...['null', 'true', 'false', '0', '-0', '-1', '1.5', '1e30', '1e999', '-1e999', '5e-324'],
  ...['9007199254740993', '123456789012345678901234567890', '[]', '{}', '[null]', '[[[]]]'],
  ...['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}'],
  ...['{"a":1,"a":2}', '{"":{"":""}}', '{"toString":null,"valueOf":1}', '"\\u0000"', '"\\ud800"'],
  ...[nested(99, ['[', ']']), nested(101, ['[', ']']), nested(5000, ['[', ']'])],
  ...[nested(101, ['{"a":', '}']), nested(5000, ['{"a":', '}']), `[${'0,'.repeat(3000)}0]`],
  JSON.stringify('y'.repeat(100_000)),
]

/** JSON text of anything. */
const wildJson: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...WILD_JSON),
  wildText.map((text) => JSON.stringify(text)),
  fc.json({ maxDepth: 3 }),
)

/** The part of JSON Schema that this project's schemas come to. */
export interface Schema {
  type?: string | string[]
  enum?: unknown[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  minLength?: number
  maxLength?: number
  maxItems?: number
  minItems?: number
}

/** JSON text of what the schema allows; `name` is the member that it is for. */
function valid(schema: Schema, name = ''): fc.Arbitrary<string> {
  const { anyOf, type } = schema
  if (schema.enum) return fc.constantFrom(...schema.enum.map((word) => JSON.stringify(word)))
  if (anyOf) return fc.oneof(...anyOf.map((each) => valid(each, name)))
  if (Array.isArray(type))
    return fc.oneof(...type.map((each) => valid({ ...schema, type: each }, name)))
  switch (type) {
    case 'null':
      return fc.constant('null')
    case 'boolean':
      return fc.boolean().map(String)
    case 'integer':
    case 'number':
      return numberText(schema, type)
    case 'string': {
      const maxLength = Math.min(schema.maxLength ?? 30, 30)
      const text = fc.string({ minLength: schema.minLength ?? 0, maxLength })
      return knownOr(name, text).map((each) => JSON.stringify(each))
    }
    case 'array':
      return fc
        .array(valid(schema.items ?? {}), {
          minLength: schema.minItems ?? 0,
          maxLength: Math.min(schema.maxItems ?? 4, 4),
        })
        .map((items) => `[${items.join(',')}]`)
    case 'object':
      return objectText(schema).map(membersText)
    default:
      // What stands for a JSON object, or for any JSON.
      return fc.oneof(
        fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 })).map((value) => {
          return JSON.stringify({ ...value, prompt: 'hello' })
        }),
        fc.json({ maxDepth: 2 }),
      )
  }
}

function numberText(schema: Schema, type: 'integer' | 'number'): fc.Arbitrary<string> {
  const min = schema.minimum ?? schema.exclusiveMinimum ?? -1000
  const max = schema.maximum ?? 1000
  const bounds = fc.constantFrom(min, max, Math.max(min, Math.min(max, 1)))
  const between =
    type === 'integer'
      ? fc.integer({ min: Math.max(min, -1e9), max: Math.min(max, 1e9) })
      : fc.double({ min, max, noNaN: true })
  return fc.oneof(bounds, between).map(String)
}

type Members = [name: string, json: string][]

/** Members of an object as the schema wants them. */
function objectText({ properties = {}, required = [] }: Schema): fc.Arbitrary<Members> {
  const members = Object.entries(properties).map(([name, schema]) => {
    const given = valid(schema, name).map((json): Members => [[name, json]])
    if (required.includes(name)) return given
    return fc.oneof(given, fc.constant<Members>([]))
  })
  return fc.tuple(...members).map((each) => each.flat())
}

const membersText = (members: Members): string =>
  `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`

const ODD_NAMES = ['__proto__', 'constructor', 'toString', '', 'a\0b', '\ud800', 'x'.repeat(2000)]

/** Nearly what the schema wants: a member or two are wild, missing, there twice or not of it. */
function nearlyValid(schema: Schema): fc.Arbitrary<string> {
  const names = Object.keys(schema.properties ?? {})
  const name = fc.constantFrom(...names, ...ODD_NAMES)
  const change = fc.tuple(fc.constantFrom('replace', 'add', 'drop', 'double'), name, wildJson)
  return fc
    .tuple(objectText(schema), fc.array(change, { minLength: 1, maxLength: 2 }))
    .map(([members, changes]) => {
      let changed = members
      for (const [how, at, json] of changes) {
        const others = changed.filter(([each]) => each !== at)
        if (how === 'drop') changed = others
        else if (how === 'replace') changed = [...others, [at, json]]
        else if (how === 'add') changed = [[at, json], ...changed]
        else changed = [...changed, ...changed]
      }
      return membersText(changed)
    })
}

const broken = fc.tuple(wildJson, fc.nat(20)).map(([json, cut]) => json.slice(0, -cut || undefined))

/** Any body for a route that takes one of this schema. */
export const bodyText = (schema: Schema): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: valid(schema) },
    { weight: 5, arbitrary: nearlyValid(schema) },
    { weight: 1, arbitrary: wildJson },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: wildText },
  )
