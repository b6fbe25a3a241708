import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { ERRORS } from '../../../shared/errorTable.ts'
import { asking } from '../../support/clients/ask.ts'
import { startHub } from '../../support/hub/hub.ts'

interface Operation {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly description?: string }>>
  readonly operationId: string
  readonly tags: readonly string[]
  readonly security?: readonly object[]
}

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly tags: readonly { readonly name: string }[]
  readonly security: readonly object[]
  readonly components: Readonly<Record<'schemas' | 'responses' | 'securitySchemes', Readonly<Record<string, Schema>>>>
}

interface Schema {
  readonly examples?: readonly unknown[]
  readonly content?: Readonly<Record<string, { readonly schema: object; readonly example?: unknown }>>
}

const hub = await startHub()
const ask = asking(hub.url)
const { body: document } = await ask<Document>('GET', '/openapi.json')
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
)

/** `GET /topics/:topic` in docs/http.md's tables. */
function documented(): string[] {
  const text = readFileSync(new URL('../../../docs/http.md', import.meta.url), 'utf8')
  return [...text.matchAll(/^### `([A-Z]+) \/v1(\/[^`?]*)/gm)].map(([, method, path]) => `${method} ${path}`)
}

describe('the OpenAPI document', () => {
  it('names the routes that docs/http.md names, and no other', () => {
    const named = operations.map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
    expect(documented().sort()).toEqual(named.sort())
  })

  it('names routes that are served, and all their methods', async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      const served = await ask('OPTIONS', `/v1${path.replace(/\{\w+\}/g, 'x')}`)
      expect(served.status, path).toBe(204)
      const allow = served.headers.get('allow')?.split(', ') ?? []
      const methods = allow.filter((method) => method !== 'HEAD' && method !== 'OPTIONS')
      expect(methods.sort()).toEqual(
        Object.keys(item)
          .map((method) => method.toUpperCase())
          .sort(),
      )
    }
  })

  it('names the query parameters that are known', async () => {
    for (const { method, path, operation } of operations) {
      const known = operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name)
      const url = `/v1${path.replace(/\{\w+\}/g, 'x')}`
      const refused = await ask<{ detail: string }>(method, `${url}?zzzzzzzzzz=1`)
      expect(refused.status, `${method} ${path}`).toBe(400)
      for (const name of known) expect(refused.body.detail).toContain(name)
    }
  })

  it('says what bodies and parameters are', () => {
    const publish = document.paths['/topics/{topic}/events']?.post
    expect(JSON.stringify(publish?.requestBody)).toContain('#/components/schemas/Publish')
    expect(JSON.stringify(document.components.schemas.BinaryDraft)).toContain('base64')
    const read = document.paths['/topics/{topic}/events']?.get
    expect(read?.parameters.find(({ name }) => name === 'limit')?.schema).toMatchObject({ type: 'integer', minimum: 1 })
    for (const { operation } of operations) expect(operation.responses).toHaveProperty('default')
    expect(document.openapi).toBe('3.1.0')
  })

  it('gives every operation a name of its own and a tag that is told', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z]+$/)
    const tags = new Set(operations.flatMap(({ operation }) => operation.tags))
    expect([...tags].sort()).toEqual(document.tags.map(({ name }) => name).sort())
  })

  it('refers to what is there, and to everything that is there', () => {
    const text = JSON.stringify(document)
    const named = (['schemas', 'responses'] as const).flatMap((kind) =>
      Object.keys(document.components[kind]).map((name) => `#/components/${kind}/${name}`),
    )
    const used = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref = '']) => ref))
    expect([...used].filter((ref) => !named.includes(ref))).toEqual([])
    const errors = Object.values(ERRORS).map(({ http }) => http)
    // What no route names may come by `default`.
    const unused = named.filter((ref) => !used.has(ref) && !ref.includes('/responses/'))
    expect(unused).toEqual([])
    expect(Object.keys(document.components.responses)).toHaveLength(new Set(errors).size + 1)
  })

  it('has each object once: nothing within another one that a schema with a name is, too', () => {
    const places = new Map<string, string[]>()
    const visit = (node: unknown, place: string): void => {
      if (typeof node !== 'object' || node === null) return
      const { examples: _, description: __, ...rest } = node as Record<string, unknown>
      if (rest.type === 'object' && rest.properties !== undefined) {
        const text = JSON.stringify(rest)
        places.set(text, [...(places.get(text) ?? []), place])
      }
      for (const [name, value] of Object.entries(rest)) visit(value, `${place}/${name}`)
    }
    visit(document, '')
    expect([...places.values()].filter((twins) => twins.length > 1)).toEqual([])
  })

  it('has examples of what is sent and answered, which fit', () => {
    const ajv = new Ajv2020({ strict: false, inlineRefs: false })
    ajv.addSchema(document, 'document')
    const sent = operations.flatMap(({ operation }) => Object.values(operation.requestBody?.content ?? {}))
    const schemas = [...sent.map(({ schema }) => schema), ...operations.flatMap(answersOf)]
    for (const schema of schemas) {
      const ref = (schema as { readonly $ref?: string; readonly items?: { readonly $ref: string } }).$ref
      if (ref === undefined) continue
      expect(schemaAt(ref)?.examples?.length, ref).toBeGreaterThan(0)
    }
    for (const [name, { examples = [] }] of Object.entries(document.components.schemas)) {
      const fits = ajv.getSchema(`document#/components/schemas/${name}`)
      for (const example of examples) expect(fits?.(example), `${name}: ${JSON.stringify(fits?.errors)}`).toBe(true)
    }
    const fits = ajv.getSchema('document#/components/schemas/Problem')
    for (const [name, { content }] of Object.entries(document.components.responses)) {
      expect(fits?.(content?.['application/problem+json']?.example), name).toBe(true)
    }
  })

  it('says how one shows who one is, and that a ticket opens a stream', () => {
    const schemes = Object.keys(document.components.securitySchemes)
    expect(schemes).toEqual(['jwt', 'apiKey', 'ticket'])
    const ticketed = operations.filter(({ operation }) => JSON.stringify(operation.security ?? []).includes('ticket'))
    expect(ticketed.map(({ operation }) => operation.operationId)).toEqual(['streamEvents'])
    expect(document.security).toEqual([{}, { jwt: [] }, { apiKey: [] }])
  })

  it('names what is answered for what is not there', async () => {
    const untold: string[] = []
    for (const { method, path, operation } of operations) {
      if (operation.operationId === 'streamEvents') continue
      const body = operation.requestBody === undefined ? undefined : {}
      const { status } = await ask(method, `/v1${path.replace(/\{\w+\}/g, 'absent')}`, body)
      if (operation.responses[status] === undefined) untold.push(`${method} ${path}: ${status}`)
    }
    expect(untold).toEqual([])
  })
})

function answersOf({ operation }: (typeof operations)[number]): object[] {
  return Object.entries(operation.responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, answer]) => Object.values((answer as Schema).content ?? {}).map(({ schema }) => schema))
}

function schemaAt(ref: string): Schema | undefined {
  return document.components.schemas[ref.split('/').at(-1) ?? '']
}
