import { describe, expect, it } from 'vitest'
import { bodiesOf } from '../../../server/core/body.ts'
import { checkBodies, type JsonSchema, misfit, readSchema } from '../../../server/core/schema/schema.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'

function schemaOf(input: unknown): JsonSchema {
  const read = readSchema(input)
  if ('schema' in read) return read.schema
  throw new Error(`${read.path.join('.')}: ${read.message}`)
}

function fault(schema: unknown, data: unknown): string | undefined {
  const [body] = bodiesOf([{ data }], DEFAULT_LIMITS)
  return body && misfit(schemaOf(schema), body)
}

const ORDER = {
  type: 'object',
  properties: {
    order: { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] },
    mail: { type: 'string', format: 'email' },
  },
  additionalProperties: false,
}

/** Discriminated by `kind`, as everybody writes it: each branch looks at the child, so depth doubles the work. */
const TREE = {
  $defs: {
    node: {
      oneOf: ['a', 'b'].map((kind) => ({
        type: 'object',
        properties: { child: { $ref: '#/$defs/node' }, kind: { const: kind } },
        required: ['kind'],
      })),
    },
  },
  $ref: '#/$defs/node',
}

function nested(depth: number, leaf: object): object {
  let node = leaf
  for (let i = 0; i < depth; i++) node = { child: node, kind: 'a' }
  return node
}

describe('data that does not fit', () => {
  it.each<[string, unknown, unknown, string | undefined]>([
    ['fits', ORDER, { order: { amount: 1 }, mail: 'ann@example.org' }, undefined],
    ['has the path', ORDER, { order: { amount: '1' } }, 'data/order/amount must be number'],
    ['lacks what is required', ORDER, { order: {} }, "data/order must have required property 'amount'"],
    ['has more', ORDER, { ordr: {} }, 'data must NOT have additional properties: ordr'],
    ['is of another format', ORDER, { mail: 'ann' }, 'data/mail must match format "email"'],
    [
      'is not what an anchor names',
      { $defs: { n: { $anchor: 'num', type: 'number' } }, $ref: '#num' },
      'a',
      'data must be number',
    ],
    ['is null', ORDER, null, 'data must be object'],
    ['is none of several', { type: ['number', 'null'] }, 'a', 'data must be number,null'],
    [
      'fits no branch',
      { anyOf: [{ type: 'number' }, { maxLength: 1 }] },
      'ab',
      'data must be number or must NOT have more than 1 characters',
    ],
    ['is none of the values', { enum: ['a', 1] }, 'b', 'data must be equal to one of the allowed values: "a", 1'],
    [
      'has a name that does not fit',
      { propertyNames: { pattern: '^[a-z]+$' } },
      { A: 1 },
      'data property name "A" must match pattern "^[a-z]+$"',
    ],
    [
      'repeats an item',
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      'data must NOT have duplicate items',
    ],
    ['repeats none', { uniqueItems: true }, [1, '1', null, [1], { a: 1 }], undefined],
    [
      'inherits nothing',
      { required: ['constructor'], properties: { toString: { type: 'number' } } },
      {},
      "data must have required property 'constructor'",
    ],
    [
      'is no group, where one is wanted',
      { enum: [{ a: 1 }, [1]] },
      1,
      'data must be equal to one of the allowed values: {"a":1}, [1]',
    ],
    ['is nothing, where a group is wanted', { const: { a: 1 } }, null, 'data must be equal to constant: {"a":1}'],
    [
      'has methods of its own',
      { enum: [{ a: 1 }] },
      { toString: 1 },
      'data must be equal to one of the allowed values: {"a":1}',
    ],
    [
      'has names of methods, as wanted',
      { const: { valueOf: 1, constructor: [2] } },
      { constructor: [2], valueOf: 1 },
      undefined,
    ],
    [
      'is a multiple in decimals',
      { items: { multipleOf: 0.01 } },
      [19.99, 0.07, -4.35, 0, 1e21, 123_456_789.01],
      undefined,
    ],
    ['is no multiple in decimals', { multipleOf: 0.01 }, 0.075, 'data must be multiple of 0.01'],
    ['is no multiple by little', { multipleOf: 1e9 }, 1e18 + 256, 'data must be multiple of 1000000000'],
    ['is refused altogether', false, 1, 'nothing fits it'],
    ['may be anything', true, 1, undefined],
    [
      'has slashes in its path',
      { properties: { 'a/b~c': { type: 'null' } } },
      { 'a/b~c': 1 },
      'data/a/b~c must be null',
    ],
  ])('%s', (_, schema, data, expected) => {
    expect(fault(schema, data)).toBe(expected)
  })

  it('is told with the number of its draft, and none of the call is taken', () => {
    const bodies = bodiesOf([{ data: {} }, { data: {} }, { data: { order: 1 } }], DEFAULT_LIMITS)
    expect(() => checkBodies(schemaOf(ORDER), bodies, 'topic orders')).toThrow(
      'draft 2 does not fit the schema of topic orders: data/order must be object',
    )
  })

  it('is what readers get: bytes are base64 text, a date is text', () => {
    const schema = {
      type: 'object',
      properties: { bytes: { type: 'string', contentEncoding: 'base64', maxLength: 4 } },
    }
    expect(fault(schema, { bytes: Buffer.from('abc') })).toBeUndefined()
    expect(fault(schema, { bytes: Buffer.from('abcd') })).toBe('data/bytes must NOT have more than 4 characters')
    expect(fault({ type: 'string', pattern: '^AAEC$' }, new Uint8Array([0, 1, 2]))).toBeUndefined()
    expect(fault({ type: 'string', format: 'date-time' }, new Date(0))).toBeUndefined()
  })
})

describe('a schema', () => {
  it.each<[unknown, string | RegExp]>([
    [{ type: 'strin' }, 'type: must be equal to one of the allowed values: "array"'],
    [{ properties: { a: { minimun: 1 } } }, 'properties.a.minimun: unknown keyword minimun; did you mean minimum?'],
    [{ items: [{ $async: true }] }, 'items: must be object'],
    [{ allOf: [{ $async: true }] }, /allOf\.0\.\$async: unknown keyword \$async$/],
    [{ format: 'url' }, 'format: unknown format "url"'],
    [{ items: { $dynamicRef: '#a' } }, 'items.$dynamicRef: "#a" is the $dynamicAnchor of nothing in the schema'],
    [{ format: 'constructor' }, 'format: unknown format "constructor"'],
    [
      { anyOf: Array.from({ length: 9 }, (_, i) => ({ pattern: `^(a|${i}){1,400}$` })) },
      'anyOf.6.pattern: the patterns of the schema, written out, are over 10000 characters together',
    ],
    [
      { pattern: Array.from({ length: 999 }, (_, i) => `\\u${(0x4e00 + i).toString(16)}`).join('') },
      'pattern: the patterns of the schema, written out, are over 10000 characters together',
    ],
    [{ properties: { a: { pattern: '(?=a)' } } }, 'properties.a.pattern: (?=a) looks ahead or behind'],
    [{ patternProperties: { '(a)\\1': {} } }, 'patternProperties: (a)\\1 refers back'],
    [
      { $ref: 'https://example.org/other' },
      '$ref https://example.org/other is not in the schema; others are not loaded',
    ],
    [
      { $schema: 'http://json-schema.org/draft-07/schema#' },
      '$schema: "http://json-schema.org/draft-07/schema#" is not',
    ],
    [{ $comment: 'x'.repeat(40_000) }, 'has 40015 bytes as JSON; at most 32768'],
    [
      JSON.parse('{"properties":{"__proto__":{"type":"null"}}}'),
      'has the name __proto__, of which no check can be made',
    ],
    [['type'], 'is no JSON Schema'],
    ['object', 'is no JSON Schema'],
    [{ default: 1n }, 'is not JSON'],
  ])('is refused where it is none (%#)', (schema, why) => {
    expect(() => schemaOf(schema)).toThrow(why)
  })

  it('may have names within that are keywords elsewhere, and definitions of its own', () => {
    const schema = {
      $id: 'order',
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $defs: { amount: { $id: 'amount', type: 'number' } },
      title: 'An order',
      properties: { const: { $ref: 'amount' }, $ref: { const: { $ref: 'x' } } },
      dependentRequired: { const: ['$ref'] },
      patternProperties: { '^x-': { type: 'string' } },
    }
    expect(fault(schema, { const: 1, $ref: { $ref: 'x' }, 'x-a': 'b' })).toBeUndefined()
    expect(fault(schema, { const: 'a', $ref: { $ref: 'x' } })).toBe('data/const must be number')
    expect(fault({ $ref: 'amount', $defs: { a: { $id: 'amount', type: 'null' } } }, 1)).toBe('data must be null')
  })

  it('that is nested too deep is refused, and so is data that is', () => {
    let deep: object = { type: 'number' }
    for (let i = 0; i < 3_000; i++) deep = { not: deep }
    expect(() => schemaOf(deep)).toThrow('too deep')
    expect(
      fault({ $defs: { list: { items: { $ref: '#/$defs/list' } } }, $ref: '#/$defs/list' }, lists(990)),
    ).toBeUndefined()
  })

  it('that another version stored and this one does not know lets nothing through', () => {
    const [body] = bodiesOf([{ data: 1 }], DEFAULT_LIMITS)
    const stored = { laterKeyword: true }
    for (const _ of [1, 2]) expect(() => body && misfit(stored, body)).toThrow('unknown keyword laterKeyword')
  })
})

describe('whoever may only publish cannot keep the hub busy with', () => {
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 1]))
  const TOO_MUCH = 'data takes too much work to check'
  // Without a bound each takes minutes to ages, which the test would not live to see.
  it.each<[string, unknown, unknown, string | undefined]>([
    ['branches within branches', TREE, nested(60, { kind: 'a' }), TOO_MUCH],
    ['many properties behind them', TREE, nested(40, { ...many, kind: 'a' }), TOO_MUCH],
    ['a long text behind them', withText(), nested(40, { kind: 'a', text: 'a@'.repeat(100_000) }), TOO_MUCH],
    [
      'lists in which nothing may be twice',
      { uniqueItems: true },
      Array.from({ length: 30_000 }, (_, i) => [i]),
      undefined,
    ],
    [
      'a pattern that goes back and forth',
      { pattern: '^(a+)+$' },
      `${'a'.repeat(250_000)}b`,
      'data must match pattern "^(a+)+$"',
    ],
    [
      'a long list of values',
      { items: { enum: Array.from({ length: 4_000 }, (_, i) => i) } },
      Array(50_000).fill(3_999),
      TOO_MUCH,
    ],
    [
      'a long text that is compared with each of many groups',
      { enum: Array.from({ length: 3_000 }, (_, i) => ({ a: i })) },
      { a: 'x'.repeat(250_000) },
      TOO_MUCH,
    ],
    ['numbers of very different size', { items: { multipleOf: 1e-300 } }, Array(30_000).fill(1e300), TOO_MUCH],
    [
      'a list that is looked through again and again',
      { allOf: Array.from({ length: 200 }, () => ({ uniqueItems: true })) },
      ['x'.repeat(100_000), 1],
      TOO_MUCH,
    ],
  ])('%s', (_, schema, data, expected) => {
    expect(fault(schema, data)).toBe(expected)
  })

  it('what is refused for its work says so', () => {
    expect(fault(TREE, nested(6, { kind: 'a' }))).toBeUndefined()
    expect(fault(TREE, nested(60, { kind: 'a' }))).toBe('data takes too much work to check')
  })

  function withText(): object {
    const text = { type: 'string', format: 'email', pattern: '^(a@)*$' }
    const node = TREE.$defs.node.oneOf.map((one) => ({ ...one, properties: { ...one.properties, text } }))
    return { $defs: { node: { oneOf: node } }, $ref: '#/$defs/node' }
  }
})

function lists(depth: number): unknown {
  let list: unknown = []
  for (let i = 0; i < depth; i++) list = [list]
  return list
}
