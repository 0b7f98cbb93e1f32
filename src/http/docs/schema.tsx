/** Schemas as tables that people read. */
import { Words } from './words.tsx'

/** What this API's schemas use of JSON Schema. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  anyOf?: Schema[]
  allOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  description?: string
  example?: unknown
  default?: unknown
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  format?: string
}

export function Fields({ schema }: { schema: Schema }) {
  const fields = fieldsOf(schema)
  if (fields.length === 0) return <p>{<Type schema={schema} />}</p>
  return (
    <table>
      <thead class="unseen">
        <tr>
          <th scope="col">Field</th>
          <th scope="col">What it is</th>
        </tr>
      </thead>
      <tbody>
        {fields.map(({ name, schema: field, isRequired }) => (
          <tr>
            <th scope="row">
              <code>{name}</code>
              {isRequired && <small class="required">required</small>}
            </th>
            <td>
              {field.description && (
                <p>
                  <Words text={field.description} />
                </p>
              )}
              <small>
                <Type schema={field} />
                {boundsOf(field)}
              </small>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

interface Field {
  name: string
  schema: Schema
  isRequired: boolean
}

/** Members of members by their path, `runs[].type`; what has a name of its own is only named. */
function fieldsOf(schema: Schema, path = ''): Field[] {
  if (schema.items && !schema.items.$ref) return fieldsOf(schema.items, `${path}[]`)
  return Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    const name = path === '' ? key : `${path}.${key}`
    const isRequired = schema.required?.includes(key) ?? false
    return [{ name, schema: member, isRequired }, ...fieldsOf(member, name)]
  })
}

function Type({ schema }: { schema: Schema }) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? ''
    return <a href={`#${name}`}>{name}</a>
  }
  const parts = schema.anyOf ?? schema.allOf
  if (parts) {
    return (
      <>
        {parts.map((part, index) => (
          <>
            {index > 0 && ' or '}
            <Type schema={part} />
          </>
        ))}
      </>
    )
  }
  if (schema.enum) return <>{schema.enum.map(wordOf).join(' | ')}</>
  if (schema.items) {
    return (
      <>
        list of <Type schema={schema.items} />
        {[schema.type].flat().includes('null') && ' or null'}
      </>
    )
  }
  if (schema.format === 'date-time') {
    return <>time{[schema.type].flat().includes('null') && ' or null'}</>
  }
  const types = [schema.type ?? 'any'].flat()
  return <>{types.length > 3 ? 'any' : types.join(' or ')}</>
}

const wordOf = (value: unknown): string =>
  typeof value === 'string' && value !== '' ? value : JSON.stringify(value)

function boundsOf(schema: Schema): string {
  const { minimum, exclusiveMinimum, maximum, minLength, maxLength, minItems, maxItems } = schema
  const bounds = [
    range(minimum, maximum, ''),
    exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
    range(minLength, maxLength, ' characters'),
    range(minItems, maxItems, ' of them'),
    schema.default !== undefined && `default ${wordOf(schema.default)}`,
  ].filter(Boolean)
  return bounds.map((bound) => `, ${bound}`).join('')
}

function range(least: number | undefined, most: number | undefined, of: string): string {
  if (most === undefined) return least === undefined ? '' : `at least ${least}${of}`
  return least === undefined ? `at most ${most}${of}` : `${least} to ${most}${of}`
}
