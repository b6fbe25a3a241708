/** Schemas that are read beside the hub's own thread, which loads nothing of what reads them. */

import { createRequire } from 'node:module'
import { expect, it, vi } from 'vitest'
import { bodiesOf } from '../../../server/core/body.ts'
import { sourceBeside } from '../../../server/core/schema/reader.ts'
import { misfit, prepareSchema, readSchema } from '../../../server/core/schema/schema.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'

const SCHEMA = {
  $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, additionalProperties: false } },
  type: 'object',
  properties: {
    list: { uniqueItems: true, items: { enum: [{ a: 1 }, 'b', null] } },
    text: { pattern: '^(a+)+$', maxLength: 9 },
    mail: { format: 'email' },
    node: { $ref: '#/$defs/node' },
  },
}
const library = createRequire(import.meta.url)
const loaded = () => library.resolve('ajv/dist/2020.js') in library.cache

function fault(schema: unknown, data: unknown): string | undefined {
  const read = readSchema(schema)
  if (!('schema' in read)) return `${read.path.join('.')} ${read.message}`
  const [body] = bodiesOf([{ data }], DEFAULT_LIMITS)
  return body && misfit(read.schema, body)
}

it('check like those that are read here, and what is wrong with one is told with its place', async () => {
  const wrong = { properties: { a: { type: 'strin' } } }
  await Promise.all([SCHEMA, wrong, { a: 1 }].map((schema) => prepareSchema({ schema })))
  const found = [
    [{ list: [{ a: 1 }, 'b'], text: 'aa', mail: 'a@b.c', node: { next: {} } }, undefined],
    [{ list: ['b', 'b'] }, 'data/list must NOT have duplicate items'],
    [{ list: [{ a: 2 }] }, 'data/list/0 must be equal to one of the allowed values: {"a":1}, "b", null'],
    [{ text: '\u{1F600}' }, 'data/text must match pattern "^(a+)+$"'],
    [{ text: 'a'.repeat(10) }, 'data/text must NOT have more than 9 characters'],
    [{ mail: 'a' }, 'data/mail must match format "email"'],
    [{ node: { next: { last: 1 } } }, 'data/node/next must NOT have additional properties: last'],
  ]
  expect(found.map(([data]) => [data, fault(SCHEMA, data)])).toEqual(found)
  expect(fault(wrong, 1)).toMatch(/^properties\.a\.type must be equal to one of the allowed values/)
  expect(fault({ a: 1 }, 1)).toBe('a unknown keyword a')
  expect(loaded()).toBe(false)
  // Nobody has prepared this one.
  expect(fault({ maxLength: 1 }, 'ab')).toBe('data must NOT have more than 1 characters')
  expect(loaded()).toBe(true)
})

it('wait for each other, and callers are refused where too many do', async () => {
  const schemas = Array.from({ length: 8 }, (_, i) => ({ maxLength: i, minLength: i }))
  const asked = await Promise.allSettled(schemas.map((schema) => prepareSchema({ schema }, 3)))
  const refused = asked.filter((one) => one.status === 'rejected').map(({ reason }) => reason)
  expect(refused).toHaveLength(3)
  expect(refused[0]).toMatchObject({ code: 'too_many', retryAfterMs: expect.any(Number) })
  // Those of the store are read all the same.
  await Promise.all(schemas.map((schema) => prepareSchema({ schema })))
  expect(schemas.map((schema) => fault(schema, 'abc'))).toHaveLength(8)
})

it('that are none are told where they are taken, also where they have no text', async () => {
  let deep: unknown = {}
  for (let i = 0; i < 20_000; i++) deep = [deep]
  for (const schema of [1, [], { not: deep }, { $comment: 'x'.repeat(40_000) }]) await prepareSchema({ schema })
  await prepareSchema(null)
  expect(fault({ not: deep }, 1)).toMatch(/is not JSON/)
})

it('are not read as the one before, whose answer came when its time was over', async () => {
  await sourceBeside('{"maxLength":1}')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const late = sourceBeside('{"maxLength":11}')
    const next = sourceBeside('{"maxLength":22}')
    // The thread answers meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
    vi.advanceTimersByTime(10_000)
    await expect(late).rejects.toThrow('takes too long to read')
    expect(await next).toContain('22')
  } finally {
    vi.useRealTimers()
  }
})
