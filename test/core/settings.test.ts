import { describe, expect, it } from 'vitest'
import { matcher } from '../../server/core/patterns.ts'
import { openQueueSettings } from '../../server/core/queues/settings.ts'
import { MAX_REMEMBERED, MAX_STORED } from '../../server/core/settings.ts'
import { DEFAULT_TOPIC_SETTINGS, openSettings } from '../../server/core/topics/settings.ts'
import type { Settings as Documents } from '../../server/store/contract/store.ts'

/** Documents in memory, as JSON, so that nothing is shared by reference. */
function documents(initial: Record<string, unknown> = {}) {
  const kept = new Map(Object.entries(initial).map(([key, value]) => [key, JSON.stringify(value)]))
  const listeners = new Set<() => void>()
  let reads = 0
  let away = false
  const store: Documents = {
    async all() {
      reads++
      if (away) throw new Error('away')
      return new Map([...kept].map(([key, value]) => [key, JSON.parse(value) as unknown]))
    },
    async put(key, value) {
      if (value === undefined) kept.delete(key)
      else kept.set(key, JSON.stringify(value))
      for (const listener of listeners) listener()
    },
    async add(key, value) {
      if (kept.has(key)) return false
      await store.put(key, value)
      return true
    },
    watch(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  return { store, kept, listeners, reads: () => reads, goAway: (value: boolean) => (away = value) }
}

const DAY = 86_400_000

describe('settings of a topic', () => {
  it('are the defaults where nothing is said', async () => {
    const settings = await openSettings({ store: documents().store })
    expect(settings.forTopic('orders')).toEqual({ retain: { events: 1_000_000, bytes: 2 ** 30, ageMs: 7 * DAY } })
  })

  it('are merged field by field from the least to the most specific pattern', async () => {
    const settings = await openSettings({
      store: documents().store,
      file: {
        'orders.eu.vip': { retain: { events: 7 } },
        'orders.*': { retain: { events: 5_000, bytes: 100 } },
        '*': { retain: { ageMs: DAY, bytes: 9, events: 1 } },
        '*.eu.*': { retain: { bytes: 200 } },
      },
    })
    expect(settings.forTopic('orders.eu.vip').retain).toEqual({ events: 7, bytes: 100, ageMs: DAY })
    expect(settings.forTopic('orders.us').retain).toEqual({ events: 5_000, bytes: 100, ageMs: DAY })
    expect(settings.forTopic('a.eu.b').retain).toEqual({ events: 1, bytes: 200, ageMs: DAY })
    expect(settings.forTopic('other').retain).toEqual({ events: 1, bytes: 9, ageMs: DAY })
  })

  it('prefer an exact name to a pattern with as many letters', async () => {
    const settings = await openSettings({
      store: documents().store,
      file: { abc: { retain: { events: 1 } }, 'abc*': { retain: { events: 2 } } },
    })
    expect(settings.forTopic('abc').retain.events).toBe(1)
    expect(settings.forTopic('abcd').retain.events).toBe(2)
  })

  it('prefer what is stored to what the file says, however specific that is', async () => {
    const settings = await openSettings({
      store: documents({ 'topic:*': { retain: { events: 3 } }, 'other:*': { retain: { events: 4 } } }).store,
      file: { 'orders.eu': { retain: { events: 5, bytes: 6 } } },
    })
    expect(settings.forTopic('orders.eu').retain).toEqual({ ...DEFAULT_TOPIC_SETTINGS.retain, events: 3, bytes: 6 })
  })

  it('hold from the moment a put resolves, replace what the pattern had, and go with undefined', async () => {
    const { store, kept } = documents()
    const settings = await openSettings({ store })
    let changes = 0
    const undo = settings.onChange(() => changes++)
    expect(settings.forTopic('a').retain.events).toBe(1_000_000)
    await settings.put('a*', { retain: { events: 10, bytes: Number.POSITIVE_INFINITY } })
    expect(settings.forTopic('a').retain).toMatchObject({ events: 10, bytes: Number.POSITIVE_INFINITY })
    await settings.put('a*', { retain: { ageMs: 5 } })
    expect(settings.forTopic('a').retain).toEqual({ ...DEFAULT_TOPIC_SETTINGS.retain, ageMs: 5 })
    expect(settings.stored()).toEqual({ 'a*': { retain: { ageMs: 5 } } })
    undo()
    await settings.put('a*', undefined)
    expect(settings.forTopic('a')).toEqual(DEFAULT_TOPIC_SETTINGS)
    expect(kept.size).toBe(0)
    expect(changes).toBe(2)
  })

  it('follow what another node stores', async () => {
    const { store } = documents()
    const [here, there] = [await openSettings({ store }), await openSettings({ store })]
    const changed = new Promise<void>((resolve) => here.onChange(resolve))
    await there.put('a', { retain: { events: 10 } })
    await changed
    expect(here.forTopic('a').retain.events).toBe(10)
  })

  it('stay as they were while the store is away, and a person is told', async () => {
    const told: string[] = []
    const { store, listeners, goAway } = documents({ 'topic:a': { retain: { events: 10 } } })
    let tell: () => void = () => {}
    const warning = new Promise<void>((resolve) => {
      tell = resolve
    })
    const settings = await openSettings({
      store,
      warn: (message) => {
        told.push(message)
        tell()
      },
    })
    goAway(true)
    for (const listener of listeners) listener()
    await warning
    expect(settings.forTopic('a').retain.events).toBe(10)
    expect(told).toEqual(['stored settings could not be read again; the last ones stay'])
    goAway(false)
    await settings.put('a', { retain: { events: 11 } })
    expect(settings.forTopic('a').retain.events).toBe(11)
  })

  it('leave out what this version does not understand of a stored document', async () => {
    const { store } = documents({
      'topic:a': { retain: { events: 'many', bytes: 5, colour: 1 }, later: true },
      'topic:b': 7,
      'topic:c': { retain: null },
    })
    const settings = await openSettings({ store })
    expect(settings.stored()).toEqual({ a: { retain: { bytes: 5 } }, b: {}, c: {} })
    expect(settings.forTopic('b')).toEqual(DEFAULT_TOPIC_SETTINGS)
  })

  it('have the schema of the most specific pattern, which stays the same object until it changes', async () => {
    const { store, kept } = documents({
      'topic:o*': { schema: { type: 'string' }, retain: { events: 3 } },
      'topic:p': {},
    })
    const settings = await openSettings({ store, file: { '*': { schema: { type: 'null' } } } })
    expect(settings.forTopic('x').schema).toEqual({ type: 'null' })
    const { schema } = settings.forTopic('orders')
    expect(schema).toEqual({ type: 'string' })
    await settings.put('p', { retain: { events: 5 } })
    expect(settings.forTopic('orders').schema).toBe(schema)
    await settings.put('o*', { schema: true })
    expect(settings.forTopic('orders')).toEqual({ ...DEFAULT_TOPIC_SETTINGS, schema: true })
    expect(JSON.parse(kept.get('topic:o*') ?? '')).toEqual({ schema: true })
  })

  it('are remembered for a bounded number of topics', async () => {
    const settings = await openSettings({ store: documents().store })
    const first = settings.forTopic('a')
    expect(settings.forTopic('a')).toBe(first)
    for (let i = 0; i < MAX_REMEMBERED; i++) settings.forTopic(`b${i}`)
    expect(settings.forTopic('a')).not.toBe(first)
    expect(settings.forTopic('a')).toEqual(first)
  })

  it('are stored for a bounded number of names and patterns, and read in pieces', async () => {
    const names = Array.from({ length: MAX_STORED }, (_, i) => `user.${i}`)
    const of = (patterns: readonly string[]) =>
      Object.fromEntries(patterns.map((pattern) => [`topic:${pattern}`, { retain: { events: 1 } }]))
    const settings = await openSettings({ store: documents(of(names)).store })
    const refusal = { code: 'too_many', retryAfterMs: expect.any(Number) }
    await expect(settings.put('one.more', { retain: { events: 2 } })).rejects.toMatchObject(refusal)
    let [turns, counting] = [0, true]
    const count = () => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    await settings.put('user.7', { retain: { events: 2 } })
    counting = false
    expect(turns).toBeGreaterThan(MAX_STORED / 1_000)
    expect([settings.forTopic('user.7').retain.events, settings.forTopic('user.8').retain.events]).toEqual([2, 1])
    await settings.put('user.8', undefined)
    const coming = ['one.more', 'two.more', 'constructor'].map((name) => settings.put(name, { retain: { events: 3 } }))
    const outcomes = await Promise.allSettled(coming)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(settings.forTopic('one.more').retain.events).toBe(3)
    // Those with * are tried for each name.
    const wild = await openSettings({ store: documents(of(names.slice(0, 1_000).map((name) => `${name}.*`))).store })
    await expect(wild.put('more.*', {})).rejects.toMatchObject(refusal)
    await wild.put('more', { retain: { events: 4 } })
    const ofQueues = Object.fromEntries(names.map((name) => [`queue:${name}`, { rate: 1 }]))
    const queues = await openQueueSettings({ store: documents(ofQueues).store })
    await expect(queues.put('one.more', { rate: 2 })).rejects.toMatchObject(refusal)
    await queues.put('user.7', { rate: 2 })
  })

  it('reads the documents again once for many changes at the same time', async () => {
    const { store, reads } = documents()
    const settings = await openSettings({ store })
    await Promise.all(Array.from({ length: 50 }, (_, i) => settings.put(`t${i}`, { retain: { events: i + 1 } })))
    expect(settings.forTopic('t49').retain.events).toBe(50)
    expect(reads()).toBeLessThan(10)
    settings.close()
  })
})

describe('a pattern', () => {
  it.each([
    ['*', 'anything', true],
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a*', 'a', true],
    ['a*b', 'ab', true],
    ['a*b', 'axxb', true],
    ['ab*ba', 'aba', false],
    ['*.eu.*', 'a.eu.b', true],
    ['*.eu.*', '.eu', false],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'acb', false],
    ['a*bc*bc', 'abc', false],
    ['*b*c*', 'acb', false],
    ['*b*b*', 'abc', false],
    ['a.b', 'axb', false],
    ['**', 'a', true],
  ])('%s fits %s: %s', (pattern, name, fits) => {
    expect(matcher(pattern)(name)).toBe(fits)
  })

  it('made to be slow is not', () => {
    const slow = matcher(`${'*a'.repeat(60)}*b`)
    const started = performance.now()
    expect(slow('a'.repeat(128))).toBe(false)
    // Tried out in all ways it would take longer than anybody waits.
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
