/** Whether somebody is at the other end of a connection, asked for many of its namespaces at once. */

import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { presence } from '../../server/socket/transport/presence.ts'

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
