import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { startHub } from '../support/hub/hub.ts'

interface Operation {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<Record<string, object>>
}

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const hub = await startHub()
const ask = asking(hub.url)
const { body: document } = await ask<Document>('GET', '/openapi.json')
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
)

/** `GET /topics/:topic` in docs/http.md's tables. */
function documented(): string[] {
  const text = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8')
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
    expect(JSON.stringify(publish?.requestBody)).toContain('base64')
    const read = document.paths['/topics/{topic}/events']?.get
    expect(read?.parameters.find(({ name }) => name === 'limit')?.schema).toMatchObject({ type: 'integer', minimum: 1 })
    for (const { operation } of operations) expect(operation.responses).toHaveProperty('default')
    expect(document.openapi).toBe('3.1.0')
  })
})
