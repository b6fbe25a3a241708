import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { describe, expect, it } from 'vitest'
import type { Hub } from '../../client/index.ts'
import { HubProvider, usePublish, useQueue, useStatus, useTopic } from '../../client/react/index.ts'
import { type AnyHub, streamsOf, type TopicOptions } from '../../client/react/streams.ts'
import { TopicStore } from '../../client/react/topicStore.ts'
import { startHub } from '../support/hub/hub.ts'
import { startFakeHub } from '../support/sdk/fakeHub.ts'
import { open } from '../support/sdk/handles.ts'
import { until } from '../support/until.ts'

interface Component {
  readonly store: TopicStore
  readonly got: unknown[]
  /** React runs its effect; the result undoes it. */
  come(): () => void
}

/** A component with `useTopic`, as React treats it. */
function component(hub: Hub, topic: string, options: TopicOptions = {}, work?: (data: unknown) => unknown): Component {
  const got: unknown[] = []
  const store = new TopicStore(streamsOf(hub), topic, options, undefined)
  store.work = ({ data }) => {
    got.push(data)
    return work?.(data)
  }
  return { store, got, come: () => store.subscribe(() => {}) }
}

/** Counts what components subscribe to. */
function counted(hub: Hub): { hub: AnyHub; subscribed: () => number } {
  const topic = hub.topic('orders')
  const { subscribe } = topic
  let count = 0
  topic.subscribe = ((...args: Parameters<typeof subscribe>) => {
    count++
    return subscribe.apply(topic, args)
  }) as typeof subscribe
  return { hub, subscribed: () => count }
}

describe('components of one topic', () => {
  it('share a subscription, which StrictMode and a change of pages leave alone, and which ends with the last', async () => {
    const { url, hub: server } = await startHub()
    const hub = open(url, { client: 'page' })
    const { subscribed } = counted(hub)
    const [one, other] = [component(hub, 'orders', { from: 'start' }), component(hub, 'orders')]
    one.come()()
    const leaveOne = one.come()
    const leaveOther = other.come()
    await server.topic('orders').publish('first')
    await until(() => one.got.length === 1 && other.got.length === 1)
    leaveOne()
    leaveOther()
    const third = component(hub, 'orders')
    const leave = third.come()
    await server.topic('orders').publish('second')
    await until(() => third.got.length === 1)
    expect(one.got).toEqual(['first'])
    expect(subscribed()).toBe(1)
    expect(third.store.view()).toMatchObject({ status: { state: 'live' }, error: undefined })
    leave()
    // What comes meanwhile is for who comes next: nobody is left, and the hub keeps the client's cursor.
    await server.topic('orders').publish('meanwhile')
    const fourth = component(hub, 'orders')
    fourth.come()
    await until(() => fourth.got.length === 1)
    expect(fourth.got).toEqual(['meanwhile'])
    expect(subscribed()).toBe(2)
  })

  it('have a place of their own where they ask for one, and go on behind it after React has put them away', async () => {
    const { url, hub: server } = await startHub()
    const hub = open(url)
    await server.topic('orders').publish(1)
    const [one, other] = [component(hub, 'orders', { from: 'start' }), component(hub, 'orders', { from: 'start' })]
    const leave = one.come()
    await until(() => one.got.length === 1)
    other.come()
    await until(() => other.got.length === 1)
    leave()
    await server.topic('orders').publish(2)
    one.come()()
    one.come()
    await until(() => one.got.length === 2)
    expect(one.got).toEqual([1, 2])
  })

  it('get an event again only where their own handler has failed', async () => {
    const { url, hub: server } = await startHub()
    const hub = open(url)
    let fails = 2
    const failing = component(hub, 'orders', {}, () => {
      if (fails-- > 0) throw new Error('not yet')
    })
    const slow = component(hub, 'orders', {}, () => new Promise((resolve) => setTimeout(resolve, 1)))
    for (const one of [failing, slow]) one.come()
    await until(() => failing.store.view().status.state === 'live')
    await server.topic('orders').publish('a')
    await until(() => failing.got.length === 3)
    expect(slow.got).toEqual(['a'])
  })

  it('are not given what comes when the last of them has gone: it is not handled', async () => {
    const { url, hub: server } = await startHub()
    const hub = open(url, { client: 'page' })
    let leave = () => {}
    // It goes while a page of events is handed out.
    const one = component(hub, 'orders', { from: 'start' }, () => leave())
    await server.topic('orders').publishAll([{ data: 1 }, { data: 2 }])
    leave = one.come()
    await until(() => one.got.length === 1)
    const next = component(hub, 'orders')
    next.come()
    await until(() => next.got.length === 1)
    expect([one.got, next.got]).toEqual([[1], [2]])
  })

  it('are told how a subscription ended; who comes later tries again', async () => {
    const { url, hub: server } = await startHub()
    const [hub, rival] = [open(url, { client: 'same' }), open(url, { client: 'same' })]
    const one = component(hub, 'orders')
    one.come()
    await until(() => one.store.view().status.state === 'live')
    const second = rival.topic('orders').subscribe(() => {})
    await until(() => one.store.view().error !== undefined)
    expect(one.store.view()).toMatchObject({ error: { code: 'taken_over' }, status: { state: 'ended' } })
    expect(streamsOf(hub).status()).toMatchObject({ state: 'ended' })
    const again = component(hub, 'orders')
    again.come()
    await second.ended
    await server.topic('orders').publish('for who came last')
    await until(() => again.got.length === 1)
    expect(one.got).toEqual([])
  })

  it('throw what subscribing throws, for an error boundary', async () => {
    const hub = open((await startFakeHub()).url)
    for (const one of [component(hub, 'no name'), component(hub, 'orders', { concurrency: 0 })]) {
      one.come()
      await until(() => thrown(one))
      expect(thrown(one)).toMatchObject({ code: 'bad_request' })
    }
  })
})

function thrown({ store }: Component): unknown {
  try {
    store.view()
    return undefined
  } catch (error) {
    return error
  }
}

describe('the status of all', () => {
  it('is the worst of them, and the same object while nothing changes', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const all = streamsOf(hub)
    expect(all.status()).toEqual({ state: 'idle' })
    let told = 0
    const quit = all.listen(() => told++)
    const [one, other] = [component(hub, 'orders'), component(hub, 'others')]
    const leave = one.come()
    other.come()
    expect(all.status()).toEqual({ state: 'connecting' })
    await until(() => all.status().state === 'live')
    hub.suspend()
    await until(() => all.status().state === 'offline')
    expect(all.status()).toBe(all.status())
    hub.resume()
    await until(() => all.status().state === 'live')
    leave()
    await hub.topic('others').close()
    await until(() => all.status().state === 'ended')
    expect(told).toBeGreaterThan(4)
    quit()
  })
})

describe('on a server', () => {
  it('a page is made without a connection, and says what a component without its provider lacks', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    function Page() {
      const { state, status, error } = useTopic('orders', { reduce: (n: number) => n + 1, initial: 7 })
      const publish = usePublish('orders')
      const queue = useQueue('emails')
      return `${state} ${status.state} ${error} ${typeof publish} ${queue.name} ${useStatus().state}`
    }
    expect(renderToString(createElement(HubProvider, { hub }, createElement(Page)))).toBe(
      '7 connecting undefined function emails idle',
    )
    // Beyond all that effects and microtasks could have begun.
    await new Promise((resolve) => setImmediate(resolve))
    expect(fake.opened).toBe(0)
    expect(() => renderToString(createElement(Page))).toThrow('there is no <HubProvider hub={hub}>')
    expect(() => renderToString(createElement(HubProvider, { hub: {} as AnyHub }))).toThrow('HubProvider takes a hub')
  })
})
