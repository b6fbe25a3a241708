/** Calls of a queue beside sending one job, on a scripted hub. */

import { describe, expect, it } from 'vitest'
import { startFakeHub } from '../../support/sdk/fakeHub.ts'
import { open } from '../../support/sdk/handles.ts'
import { until } from '../../support/until.ts'

async function sender(options = {}) {
  const fake = await startFakeHub()
  const hub = open(fake.url, options)
  return { fake, hub, queue: hub.queue('q') }
}

describe('a call that adds jobs', () => {
  it.each(['sendAll', 'runSchedule'] as const)(
    '%s is made again after a lost reply with the same ids',
    async (name) => {
      const { fake, queue } = await sender()
      const isAll = name === 'sendAll'
      const made = isAll ? queue.sendAll([{ data: 1 }, { data: 2, id: 'mine' }]) : queue.runSchedule('daily')
      const wire = isAll ? 'send' : name
      const first = await fake.call(wire)
      ;(await fake.guest()).cut()
      const second = await fake.call(wire)
      expect(second.args).toEqual(first.args)
      const id = expect.stringMatching(/^.{12,}$/)
      const expected = isAll
        ? [
            'q',
            [
              { data: 1, id },
              { data: 2, id: 'mine' },
            ],
            null,
          ]
        : ['q', 'daily', { id }]
      expect(second.args).toEqual(expected)
      // What was stored by the first try is no duplicate to who has asked once.
      second.reply(
        isAll ? { ids: ['a', 'mine'], duplicates: 2, duplicatesAt: [0, 1], durability: 'fsync' } : { id: 'a' },
      )
      const receipts = ['a', 'mine'].map((one) => ({ id: one, durability: 'fsync' }))
      expect(await made).toEqual(isAll ? receipts : { id: 'a' })
    },
  )
})

describe('the life of a queue', () => {
  it('is heard of over a connection of its own, under no name, which ends with the last listener', async () => {
    const { fake, hub, queue } = await sender({ client: 'me' })
    hub.topic('$queue.q').subscribe(() => {})
    const own = await fake.guest()
    const undos = [queue.on('done', () => {}), queue.on('dead', () => {})]
    const life = await fake.guest()
    expect([own.auth, life.auth]).toMatchObject([{ client: 'me' }, { from: 'end' }])
    expect(life.auth.client).toBeUndefined()
    expect([own.topic, life.topic, fake.transports]).toEqual(['$queue.q', '$queue.q', 2])
    undos[0]?.()
    undos[0]?.()
    expect(fake.transports).toBe(2)
    undos[1]?.()
    await until(() => fake.transports === 1)
    // What the hub has ended begins again with the next listener.
    queue.on('done', () => {})
    ;(await fake.guest()).end('forbidden')
    await until(() => fake.transports === 1)
    queue.on('dead', () => {})
    await fake.guest()
    await queue.close()
    await until(() => fake.transports === 1)
  })
})
