/** Sessions that a Redis forgot, as it came back with an older state: who had them goes on, and nobody is told of a newer one. */

import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Consuming, Job } from '../../../shared/queues.ts'
import { join, joinNamespace, type Wire } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const TRANSPORTS = [['websocket'], ['polling']] as const

/** A Redis that goes back to what it had at `save`, and a hub that stays. */
async function forgetful() {
  const redis = await startRedis({ appendonly: 'no', save: '' })
  const { url, hub } = await startHub({ store: redis.url })
  return {
    url,
    hub,
    save: async () => void (await redis.cli('save')),
    goBack: async () => {
      await redis.restart()
      await until(async () => (await fetch(`${url}/readyz`)).ok, { what: 'the hub to be ready again' })
    },
  }
}

async function acknowledged(wire: Wire, position: Position): Promise<Position> {
  let last: unknown
  await until(
    async () => {
      const reply = await wire.call<Position>('ack', position)
      last = reply
      if (reply.ok) return true
      if (!reply.error.retryable) throw new Error(JSON.stringify(reply.error))
      return false
    },
    { what: 'the acknowledgement', everyMs: 50, seen: () => last },
  )
  return (last as { readonly value: Position }).value
}

describe.runIf(has('redis-server'))('a session that Redis forgot', () => {
  it.each(TRANSPORTS)('of a plain client goes on over %s, and its acknowledgements count', async (transport) => {
    const { url, hub, save, goBack } = await forgetful()
    const auth = { client: 'c', from: 'start' } as const
    const { epoch } = await hub.topic('t').publish(1)
    await hub.topic('t').publish(2)
    const first = await join(url, 't', auth, { transports: [transport] })
    await first.seen('live')
    await first.value('ack', { epoch, offset: 1 })
    first.close()
    await save()
    const wire = await join(url, 't', auth, { transports: [transport] })
    await wire.seen('live')
    await goBack()
    expect(await acknowledged(wire, { epoch, offset: 2 })).toEqual({ epoch, offset: 2 })
    const { offset } = await hub.topic('t').publish(3)
    await wire.eventsSeen(2)
    expect(wire.events().map((event) => event.offset)).toEqual([2, 3])
    const present = wire.all('events').at(-1)?.epoch ?? ''
    expect(await acknowledged(wire, { epoch: present, offset })).toEqual({ epoch: present, offset })
    expect(wire.all('error')).toEqual([])
    // A real newer one still ends it.
    const newer = await join(url, 't', auth, { transports: [transport] })
    await newer.seen('live')
    await wire.disconnected
    expect(wire.all('error')).toMatchObject([{ code: 'taken_over' }])
    expect(newer.events()).toEqual([])
  })

  it('and its cursor with it are remembered again with the next acknowledgement', async () => {
    const { url, hub, save, goBack } = await forgetful()
    const { epoch } = await hub.topic('t').publish(1)
    await save()
    const wire = await join(url, 't', { client: 'c', from: 'start' })
    await wire.eventsSeen(1)
    await goBack()
    expect(await acknowledged(wire, { epoch, offset: 1 })).toEqual({ epoch, offset: 1 })
    wire.close()
    await hub.topic('t').publish(2)
    const back = await join(url, 't', { client: 'c', from: 'start' })
    await back.eventsSeen(1)
    expect(back.events().map(({ offset }) => offset)).toEqual([2])
  })

  it('of the SDK goes on, with one cursor and nothing twice', async () => {
    const { url, hub, save, goBack } = await forgetful()
    await hub.topic('t').publish(1)
    const seen: number[] = []
    const subscribe = () => {
      const own = connect<{ topics: { t: number } }>(url, { client: 'c' })
      atEnd(() => own.close())
      return { own, subscription: own.topic('t').subscribe(({ data }) => seen.push(data), { from: 'start' }) }
    }
    const before = subscribe()
    await until(() => seen.length === 1)
    await before.own.close()
    await save()
    const { own, subscription } = subscribe()
    await until(() => subscription.status.state === 'live')
    await goBack()
    const { epoch, offset } = await hub.topic('t').publish(2)
    await until(() => seen.length === 2)
    expect(await subscription.ack({ epoch, offset })).toEqual({ epoch, offset })
    expect(subscription.status.state).not.toBe('ended')
    await own.close()
    const cursors = await (await fetch(`${url}/v1/topics/t/cursors`)).json()
    expect(cursors).toMatchObject({ cursors: [{ client: 'c', position: { epoch, offset }, lag: 0 }] })
    expect(seen).toEqual([1, 2])
  })

  it.each(TRANSPORTS)('of a consumer goes on over %s: it is given jobs and settles them', async (transport) => {
    const { url, hub, save, goBack } = await forgetful()
    const open = async (): Promise<{ wire: Wire; jobs: Job[] }> => {
      const wire = await joinNamespace(url, '/queues', { client: 'w' }, { transports: [transport] })
      const jobs: Job[] = []
      wire.socket.on('jobs', (_queue: string, given: Job[]) => jobs.push(...given))
      await wire.value<Consuming>('consume', 'q', { credit: 10 })
      return { wire, jobs }
    }
    const first = await open()
    first.wire.cut()
    await save()
    const { wire, jobs } = await open()
    await goBack()
    await hub.queue('q').send(1)
    await until(() => jobs.length > 0, { what: 'a job' })
    const settlements = jobs.map(({ id, lease }) => ({ id, lease, as: 'done' }))
    expect(await wire.value('settle', 'q', settlements)).toEqual(['ok'])
    expect(wire.packets.filter(({ name }) => name === 'error')).toEqual([])
  })
})
