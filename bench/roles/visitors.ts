/** Connections that come, enter a topic and leave, one after the other in each of a few rows, in a process of their own. */

import { io } from 'socket.io-client'
import { serveCalls } from '../role.ts'

const ROWS = 10

const calls = {
  /** `tokens`: one for each; without them they have none. Resolves when all have been there. */
  async visit({
    url,
    topic,
    count,
    tokens,
  }: {
    url: string
    topic: string
    count: number
    tokens?: readonly string[]
  }) {
    let next = 0
    const row = async () => {
      for (let i = next++; i < count; i = next++) {
        const socket = io(`${url}/topics/${topic}`, {
          transports: ['websocket'],
          auth: { from: 'none', ...(tokens === undefined ? {} : { token: tokens[i] }) },
          forceNew: true,
          reconnection: false,
        })
        await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
        socket.disconnect()
      }
    }
    await Promise.all(Array.from({ length: ROWS }, row))
  },
}

export type VisitorCalls = typeof calls

serveCalls(calls)
