/** The fan-out with a store whose notifications are late, lost, doubled: the log is the truth, they are only hints. */

import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anonymous } from '../../server/core/access.ts'
import { Subscription } from '../../server/core/topics/subscription.ts'
import type { Notification, Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import { RepriseError } from '../../shared/errors.ts'
import { maintain } from '../store/conformance/calls.ts'
import { hubOn, withBadNotifications } from '../support/core/bare.ts'
import { TestChannel, TestOutlet } from '../support/core/outlet.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

const SOAK = process.env.REPRISE_SOAK === '1'
const CALLER = anonymous()
/** Each publish is synced: on a slow disk more of them take too long. */
const EVENTS = SOAK ? 1_500 : 400
const READERS = 60

let store: Store

beforeAll(async () => {
  store = await openStore(`${await tempFolder()}/data`, {})
})

afterAll(() => store.close())

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

const expected = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

describe('the fan-out', () => {
  it.each([
    ['late and doubled', false],
    ['late, doubled and lost', true],
  ])('gives every subscriber every event in order, once, when notifications are %s', async (name, lossy) => {
    const seed = runSeed(`fan-out, ${name}`)
    for (let round = 0; round < (SOAK ? 200 : 4); round++) {
      const random = seededRandom(seed + round)
      const hub = await hubOn(withBadNotifications(store, random, lossy ? 0.1 : 0))
      const topic = `t-${name.length}-${round}`
      const channel = new TestChannel()
      const readers: { outlet: TestOutlet; first: number }[] = []
      let published = 0
      let going = true
      const publisher = (async () => {
        while (published < EVENTS) {
          const count = random.integer(1, 20)
          await hub.publish(topic, expected(published + 1, published + count))
          published += count
          if (random.chance(0.3)) await sleep(random.integer(0, 4))
        }
        going = false
      })()
      while (going) {
        const pace = random.chance(0.5) ? () => sleep(random.integer(0, 10)) : async () => {}
        // On a slow machine the publisher takes longer, and is not met by more of them for that.
        if (readers.length < READERS) {
          const outlet = new TestOutlet(random.chance(0.5) ? channel : new TestChannel(), pace)
          const info = await hub.subscribe(topic, outlet).start({ from: random.pick(['start', 'end'] as const) }, false)
          readers.push({ outlet, first: info.position.offset + 1 })
        }
        const victim = random.pick(readers).outlet
        if (victim.isLive && random.chance(0.5)) victim.overfull = true
        await sleep(random.integer(1, 15))
      }
      await publisher
      for (const { outlet, first } of readers) {
        await until(() => outlet.offsets.length >= published - first + 1 && outlet.isLive, {
          what: `a reader from ${first} to have all ${published} (seed ${seed + round})`,
          seen: () => ({ last: outlet.offsets.at(-1), live: outlet.isLive, end: outlet.told.slice(-3) }),
          deadlineMs: 15_000,
        })
        expect(outlet.offsets).toEqual(expected(first, published))
        expect(outlet.told.filter(({ kind }) => kind === 'gap')).toEqual([])
      }
      hub.fanout.close()
    }
  })

  it('keeps little of what it is told while it reads, and sends all of it', async () => {
    const told: WeakRef<Notification>[] = []
    let gate: Promise<void> | undefined
    let tell: (notification: Notification) => void = () => {}
    const topics: Store['topics'] = {
      ...store.topics,
      read: async (...args) => {
        await gate
        return await store.topics.read(...args)
      },
      watch: (topic, listener) => {
        tell = listener
        return store.topics.watch(topic, (notification) => {
          told.push(new WeakRef(notification))
          listener(notification)
        })
      },
    }
    const hub = await hubOn({ ...store, topics })
    const outlet = new TestOutlet(new TestChannel(), async () => {})
    await hub.subscribe('held', outlet).start({ from: 'end' }, false)
    await until(() => outlet.isLive)
    let open = () => {}
    gate = new Promise((resolve) => {
      open = resolve
    })
    tell({ kind: 'lost' })
    for (let i = 0; i < 40; i++) await hub.publish('held', ['x'.repeat(200_000)])
    collectGarbage()
    expect(told.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(20)
    open()
    await until(() => outlet.offsets.length === 40)
    expect(outlet.offsets).toEqual(expected(1, 40))
    hub.fanout.close()
  })

  it('misses nothing that it is told of at the very end of its reading', async () => {
    for (let depth = 0; depth < 30; depth++) {
      const topic = `end-${depth}`
      let tell: (notification: Notification) => void = () => {}
      let late = false
      const topics: Store['topics'] = {
        ...store.topics,
        read: async (...args) => {
          const page = await store.topics.read(...args)
          if (!late) return page
          late = false
          await hub.publish(topic, ['later'])
          let turn = Promise.resolve()
          for (let i = 0; i < depth; i++) turn = turn.then(() => {})
          void turn.then(() => tell({ kind: 'lost' }))
          return page
        },
        watch: async (_topic, listener) => {
          tell = listener
          return () => {}
        },
      }
      const hub = await hubOn({ ...store, topics })
      const outlet = new TestOutlet(new TestChannel(), async () => {})
      await hub.subscribe(topic, outlet).start({ from: 'end' }, false)
      await until(() => outlet.isLive)
      await hub.publish(topic, ['first'])
      late = true
      tell({ kind: 'lost' })
      // The look at the log every few seconds would find it too.
      const wait = { what: `both events, told ${depth} steps after the page`, deadlineMs: 2_000 }
      await until(() => outlet.offsets.length === 2, wait)
      hub.fanout.close()
    }
  })

  it('joins a reader that is nearly there from its tail, however busy the topic', async () => {
    const hub = await hubOn(store)
    await hub.publish('busy', [0])
    let going = true
    const publisher = (async () => {
      let n = 1
      for (; going; n++) await hub.publish('busy', [n])
      return n
    })()
    const outlet = new TestOutlet(new TestChannel(), () => sleep(20))
    await hub.subscribe('busy', outlet).start({ from: 'start' }, false)
    await until(() => outlet.isLive, { what: 'the paced reader to be live' })
    going = false
    const total = await publisher
    await until(() => outlet.offsets.length === total)
    expect(outlet.offsets).toEqual(expected(1, total))
    hub.fanout.close()
  })

  it('gives whoever comes back what it sent last, without a page of the log, unless that has been trimmed', async () => {
    let pages = 0
    let first = 1
    const topics: Store['topics'] = {
      ...store.topics,
      read: async (topic, after, bound) => {
        if (bound.events > 0) pages += 1
        const page = await store.topics.read(topic, after, bound)
        return { ...page, first, events: page.events.filter(({ offset }) => offset >= first) }
      },
    }
    const hub = await hubOn({ ...store, topics })
    const there = new TestOutlet(new TestChannel())
    await hub.subscribe('again', there).start({ from: 'end' }, false)
    await until(() => there.isLive)
    const { epoch } = await hub.publish('again', [1, 2, 3, 4, 5])
    await until(() => there.offsets.length === 5)
    pages = 0
    const comeBack = async (offset: number) => {
      const outlet = new TestOutlet(new TestChannel())
      await hub.subscribe('again', outlet).start({ from: { epoch, offset } }, false)
      await until(() => outlet.isLive)
      return outlet.told.map((told) => (told.kind === 'event' ? told.offset : told.kind))
    }
    expect(await Promise.all([1, 2, 2].map(comeBack))).toEqual([
      ['subscribed', 2, 3, 4, 5, 'live'],
      ['subscribed', 3, 4, 5, 'live'],
      ['subscribed', 3, 4, 5, 'live'],
    ])
    expect(pages).toBe(0)
    first = 4
    expect(await comeBack(2)).toEqual(['subscribed', 'gap', 4, 5, 'live'])
    hub.fanout.close()
  })

  it('sends a crowd in one packet what it is told while the packet before has its turns', async () => {
    let tell: (notification: Notification) => void = () => {}
    const topics: Store['topics'] = {
      ...store.topics,
      watch: async (_topic, listener) => {
        tell = listener
        return () => {}
      },
    }
    const hub = await hubOn({ ...store, topics })
    const channel = new TestChannel()
    const outlets = Array.from({ length: 300 }, () => new TestOutlet(channel))
    await Promise.all(outlets.map((outlet) => hub.subscribe('crowd', outlet).start({ from: 'end' }, false)))
    await until(() => outlets.every(({ isLive }) => isLive))
    const { epoch } = await hub.publish('crowd', [1, 2, 3, 4, 5, 6])
    const { events } = await store.topics.read('crowd', 0, { events: 6, bytes: 1_000 })
    const sent: number[] = []
    const broadcast = channel.broadcast.bind(channel)
    channel.broadcast = (packet) => {
      sent.push(packet.events.length)
      broadcast(packet)
    }
    for (const event of events) {
      tell({ kind: 'appended', epoch, head: event.offset, events: [event] })
      for (let i = 0; i < 3; i++) await Promise.resolve()
      expect(sent).toEqual([1])
    }
    await until(() => outlets.every(({ offsets }) => offsets.length === 6))
    expect(sent).toEqual([1, 5])
    hub.fanout.close()
  })

  it('sends nothing to a reader that does not drain, not even that it is behind', async () => {
    const hub = await hubOn(store)
    await hub.publish('silent', [0])
    let drain: (() => void) | undefined
    const outlet = new TestOutlet(new TestChannel(), () => new Promise((resolve) => (drain = resolve)))
    await hub.subscribe('silent', outlet).start({ from: 'end' }, false)
    await until(() => outlet.isLive)
    outlet.overfull = true
    await hub.publish('silent', [1])
    await until(() => drain !== undefined)
    for (let n = 2; n < 5; n++) await hub.publish('silent', [n])
    const kinds = () => outlet.told.map(({ kind }) => kind)
    expect(kinds()).toEqual(['subscribed', 'live', 'event'])
    drain?.()
    await until(() => kinds().includes('behind'))
    outlet.overfull = false
    await until(() => {
      drain?.()
      return outlet.offsets.length === 4 && outlet.isLive
    })
    expect(kinds().slice(3)).toEqual(['behind', 'event', 'event', 'event', 'live'])
    hub.fanout.close()
  })

  it('tells live subscribers of a topic that is dropped under them, then of what follows', async () => {
    const hub = await hubOn(store)
    await hub.publish('dropped', [1, 2, 3])
    const outlet = new TestOutlet(new TestChannel())
    await hub.subscribe('dropped', outlet).start({ from: 'start' }, false)
    await until(() => outlet.isLive)
    await hub.log.drop(CALLER, 'dropped')
    await hub.publish('dropped', ['a', 'b'])
    await until(() => outlet.told.filter(({ kind }) => kind === 'event').length === 5)
    const kinds = outlet.told.map((told) => (told.kind === 'event' ? told.data : told.kind))
    expect(kinds).toEqual(['subscribed', 1, 2, 3, 'live', 'gap', 'a', 'b'])
    hub.fanout.close()
  })

  it('begins no session for who is gone, where the store does late what it was asked', async () => {
    let release: () => void = () => {}
    let asked = 0
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const cursors: Store['cursors'] = {
      ...store.cursors,
      async open(topic, owner, start, since) {
        asked += 1
        if (asked === 1) await held
        return await store.cursors.open(topic, owner, start, since)
      },
    }
    const far = await hubOn({ ...store, cursors })
    const near = await hubOn(store)
    const [gone, there] = [new TestOutlet(new TestChannel()), new TestOutlet(new TestChannel())]
    const first = new Subscription(far.context, anonymous('c'), 'late', gone)
    const starting = first.start({}, false)
    await until(() => asked === 1)
    first.close()
    const second = new Subscription(near.context, anonymous('c'), 'late', there)
    await second.start({}, false)
    release()
    await expect(starting).rejects.toMatchObject({ code: 'unavailable' })
    expect(await store.cursors.session('late', { subject: 'anonymous', client: 'c' })).toBe(second.session)
    expect(there.told.filter(({ kind }) => kind === 'error')).toEqual([])
    // Who is there begins one, however often it has to ask.
    const third = new Subscription(far.context, anonymous('c'), 'late', new TestOutlet(new TestChannel()))
    await third.start({}, false)
    await until(() => there.told.some(({ kind }) => kind === 'error'))
    for (const one of [second, third]) one.close()
    for (const { fanout } of [far, near]) fanout.close()
  })

  it('keeps the cursor of a quiet live subscription from expiring', async () => {
    let now = Date.now()
    const own = await openStore(`${await tempFolder()}/data`, { now: () => now })
    const hub = await hubOn(own)
    await hub.publish('quiet', [1])
    const open = () => new Subscription(hub.context, anonymous('c'), 'quiet', new TestOutlet(new TestChannel()))
    const subscription = open()
    await subscription.start({ from: 'start' }, false)
    for (let day = 0; day < 40; day += 20) {
      now += 20 * 86_400_000
      await hub.fanout.touch()
      while ((await maintain(own)).more);
    }
    expect((await own.cursors.list('quiet', { limit: 10 })).map(({ client }) => client)).toEqual(['c'])
    subscription.close()
    hub.fanout.close()
    await own.close()
  })

  it('watches a topic only while somebody subscribes to it', async () => {
    let watching = 0
    const topics = Object.create(store.topics) as Store['topics']
    topics.watch = async (topic, listener: (notification: Notification) => void) => {
      const stop = await store.topics.watch(topic, listener)
      watching += 1
      return () => {
        watching -= 1
        stop()
      }
    }
    const hub = await hubOn({ ...store, topics, cursors: store.cursors, settings: store.settings } as Store)
    const subscriptions = ['a', 'a', 'b'].map((topic) => hub.subscribe(topic, new TestOutlet(new TestChannel())))
    for (const subscription of subscriptions) await subscription.start({}, false)
    expect([watching, hub.fanout.subscribers('a')]).toEqual([2, 2])
    for (const subscription of subscriptions) subscription.close()
    expect([watching, hub.fanout.subscribers('a')]).toEqual([0, 0])
    hub.fanout.close()
  })

  it('tells a gap and goes on live although the log was away for a moment', async () => {
    const hub = await hubOn(store)
    const { epoch } = await hub.publish('away', [1, 2, 3])
    const outlet = new TestOutlet(new TestChannel())
    const { bounds } = hub.log
    let failures = 0
    hub.log.bounds = async function (topic) {
      // The first one places the reader, the second goes with its gap.
      if (++failures === 2) throw new RepriseError('unavailable', 'the store is away')
      return await bounds.call(this, topic)
    }
    const subscription = hub.subscribe('away', outlet)
    await subscription.start({ from: { epoch, offset: 9 }, onGap: 'end' }, false)
    await until(() => outlet.isLive, { what: 'the reader to be live' })
    expect(failures).toBeGreaterThan(2)
    expect(outlet.told.map(({ kind }) => kind)).toEqual(['subscribed', 'gap', 'live'])
    subscription.close()
    hub.fanout.close()
  })
})
