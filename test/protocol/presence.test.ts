/** Whether somebody is at the other end of a connection, asked for many of its namespaces at once. */

import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { presence, whenHeard } from '../../server/socket/transport/presence.ts'

class Connection extends EventEmitter {
  readyState = 'open'
  pings = 0

  sendPacket(): void {
    this.pings += 1
  }
}

it('one heartbeat is for all that ask before it is answered', async () => {
  const connection = new Connection()
  const all = Array.from({ length: 20 }, () => presence(connection))
  expect([connection.pings, connection.listenerCount('heartbeat'), connection.listenerCount('close')]).toEqual([
    1, 1, 1,
  ])
  connection.emit('heartbeat')
  await Promise.all(all)
  const next = presence(connection)
  expect(connection.pings).toBe(2)
  connection.emit('close')
  await next
  connection.readyState = 'closed'
  await presence(connection)
  expect([connection.pings, connection.listenerCount('heartbeat'), connection.listenerCount('close')]).toEqual([
    2, 0, 0,
  ])
})

it('one listener is for all that wait for the next packet, and each is told once', () => {
  const connection = new Connection()
  const heard: number[] = []
  for (let i = 0; i < 20; i++) whenHeard(connection, () => heard.push(i))
  expect(connection.listenerCount('packet')).toBe(1)
  connection.emit('packet')
  expect(heard).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(connection.listenerCount('packet')).toBe(0)
  whenHeard(connection, () => heard.push(20))
  connection.emit('packet')
  expect(heard).toHaveLength(21)
})
